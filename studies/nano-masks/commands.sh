# alfworld: collect expert
python -m sad_agents --agent expert-plain --episodes 3000 --slip 0.15 --renamed 0.7 --env alfworld --data generated --split train_rooms --max-steps 20 --out studies/nano-masks/alfworld/expert.jsonl --workers 0
# alfworld: evaluate teacher
python -m sad_eval --agent studies/nano-masks/alfworld/teacher-given/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-masks/alfworld/eval/teacher --workers 0 --quiet
# alfworld: collect teacher
python -m sad_agents --agent studies/nano-masks/alfworld/teacher-given/student.pt --episodes 1000 --temperature 0.2 --env alfworld --data generated --split train_rooms --max-steps 20 --out studies/nano-masks/alfworld/teacher.jsonl --workers 0 --only-success
# alfworld: evaluate expert
python -m sad_eval --agent expert-plain --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-masks/alfworld/eval/expert --workers 0 --reference studies/nano-masks/alfworld/eval/teacher --quiet
# alfworld: evaluate random
python -m sad_eval --agent random --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-masks/alfworld/eval/random --workers 0 --reference studies/nano-masks/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-start-0
python -m sad_distill --out studies/nano-masks/alfworld/nano-0.7m-start-0 --teacher studies/nano-masks/alfworld/teacher-given/student.pt --seed 0 --student nano-0.7m --method sft --mode offline --episodes studies/nano-masks/alfworld/expert.jsonl --batch 8 --steps 800 --learning-rate 0.001 --embedding-factor 10.0 --optimiser muon --observation-weight 0.3 --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-start-0
python -m sad_eval --agent studies/nano-masks/alfworld/nano-0.7m-start-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-masks/alfworld/eval/nano-0.7m-start-0 --workers 0 --reference studies/nano-masks/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-sad-offline-0
python -m sad_distill --out studies/nano-masks/alfworld/nano-0.7m-sad-offline-0 --teacher studies/nano-masks/alfworld/teacher-given/student.pt --seed 0 --method sad --mode offline --student studies/nano-masks/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-masks/alfworld/teacher.jsonl --batch 8 --steps 300 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-sad-offline-0
python -m sad_eval --agent studies/nano-masks/alfworld/nano-0.7m-sad-offline-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-masks/alfworld/eval/nano-0.7m-sad-offline-0 --workers 0 --reference studies/nano-masks/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-sad-random-mask-0
python -m sad_distill --out studies/nano-masks/alfworld/nano-0.7m-sad-random-mask-0 --teacher studies/nano-masks/alfworld/teacher-given/student.pt --seed 0 --method sad --mode offline --masks random --student studies/nano-masks/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-masks/alfworld/teacher.jsonl --batch 8 --steps 300 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-sad-random-mask-0
python -m sad_eval --agent studies/nano-masks/alfworld/nano-0.7m-sad-random-mask-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-masks/alfworld/eval/nano-0.7m-sad-random-mask-0 --workers 0 --reference studies/nano-masks/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-sad-offline-1
python -m sad_distill --out studies/nano-masks/alfworld/nano-0.7m-sad-offline-1 --teacher studies/nano-masks/alfworld/teacher-given/student.pt --seed 1 --method sad --mode offline --student studies/nano-masks/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-masks/alfworld/teacher.jsonl --batch 8 --steps 300 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-sad-offline-1
python -m sad_eval --agent studies/nano-masks/alfworld/nano-0.7m-sad-offline-1/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-masks/alfworld/eval/nano-0.7m-sad-offline-1 --workers 0 --reference studies/nano-masks/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-sad-random-mask-1
python -m sad_distill --out studies/nano-masks/alfworld/nano-0.7m-sad-random-mask-1 --teacher studies/nano-masks/alfworld/teacher-given/student.pt --seed 1 --method sad --mode offline --masks random --student studies/nano-masks/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-masks/alfworld/teacher.jsonl --batch 8 --steps 300 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-sad-random-mask-1
python -m sad_eval --agent studies/nano-masks/alfworld/nano-0.7m-sad-random-mask-1/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-masks/alfworld/eval/nano-0.7m-sad-random-mask-1 --workers 0 --reference studies/nano-masks/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-sad-offline-2
python -m sad_distill --out studies/nano-masks/alfworld/nano-0.7m-sad-offline-2 --teacher studies/nano-masks/alfworld/teacher-given/student.pt --seed 2 --method sad --mode offline --student studies/nano-masks/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-masks/alfworld/teacher.jsonl --batch 8 --steps 300 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-sad-offline-2
python -m sad_eval --agent studies/nano-masks/alfworld/nano-0.7m-sad-offline-2/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-masks/alfworld/eval/nano-0.7m-sad-offline-2 --workers 0 --reference studies/nano-masks/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-sad-random-mask-2
python -m sad_distill --out studies/nano-masks/alfworld/nano-0.7m-sad-random-mask-2 --teacher studies/nano-masks/alfworld/teacher-given/student.pt --seed 2 --method sad --mode offline --masks random --student studies/nano-masks/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-masks/alfworld/teacher.jsonl --batch 8 --steps 300 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-sad-random-mask-2
python -m sad_eval --agent studies/nano-masks/alfworld/nano-0.7m-sad-random-mask-2/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-masks/alfworld/eval/nano-0.7m-sad-random-mask-2 --workers 0 --reference studies/nano-masks/alfworld/eval/teacher --quiet
# webshop: collect expert
python -m sad_agents --agent expert-plain --episodes 3000 --slip 0.15 --env webshop --data generated --split train_shops --max-steps 0 --out studies/nano-masks/webshop/expert.jsonl --workers 0
# webshop: evaluate teacher
python -m sad_eval --agent studies/nano-masks/webshop/teacher-given/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out studies/nano-masks/webshop/eval/teacher --workers 0 --quiet
# webshop: collect teacher
python -m sad_agents --agent studies/nano-masks/webshop/teacher-given/student.pt --episodes 1000 --temperature 0.2 --env webshop --data generated --split train_shops --max-steps 0 --out studies/nano-masks/webshop/teacher.jsonl --workers 0 --only-success
# webshop: evaluate expert
python -m sad_eval --agent expert-plain --env webshop --data generated --episodes 200 --max-steps 0 --out studies/nano-masks/webshop/eval/expert --workers 0 --reference studies/nano-masks/webshop/eval/teacher --quiet
# webshop: evaluate random
python -m sad_eval --agent random --env webshop --data generated --episodes 200 --max-steps 0 --out studies/nano-masks/webshop/eval/random --workers 0 --reference studies/nano-masks/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-start-0
python -m sad_distill --out studies/nano-masks/webshop/nano-0.7m-start-0 --teacher studies/nano-masks/webshop/teacher-given/student.pt --seed 0 --student nano-0.7m --method sft --mode offline --episodes studies/nano-masks/webshop/expert.jsonl --batch 8 --steps 800 --learning-rate 0.001 --embedding-factor 10.0 --optimiser muon --observation-weight 0.3 --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-start-0
python -m sad_eval --agent studies/nano-masks/webshop/nano-0.7m-start-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out studies/nano-masks/webshop/eval/nano-0.7m-start-0 --workers 0 --reference studies/nano-masks/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-offline-0
python -m sad_distill --out studies/nano-masks/webshop/nano-0.7m-sad-offline-0 --teacher studies/nano-masks/webshop/teacher-given/student.pt --seed 0 --method sad --mode offline --student studies/nano-masks/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano-masks/webshop/teacher.jsonl --batch 8 --steps 300 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-offline-0
python -m sad_eval --agent studies/nano-masks/webshop/nano-0.7m-sad-offline-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out studies/nano-masks/webshop/eval/nano-0.7m-sad-offline-0 --workers 0 --reference studies/nano-masks/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-random-mask-0
python -m sad_distill --out studies/nano-masks/webshop/nano-0.7m-sad-random-mask-0 --teacher studies/nano-masks/webshop/teacher-given/student.pt --seed 0 --method sad --mode offline --masks random --student studies/nano-masks/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano-masks/webshop/teacher.jsonl --batch 8 --steps 300 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-random-mask-0
python -m sad_eval --agent studies/nano-masks/webshop/nano-0.7m-sad-random-mask-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out studies/nano-masks/webshop/eval/nano-0.7m-sad-random-mask-0 --workers 0 --reference studies/nano-masks/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-offline-1
python -m sad_distill --out studies/nano-masks/webshop/nano-0.7m-sad-offline-1 --teacher studies/nano-masks/webshop/teacher-given/student.pt --seed 1 --method sad --mode offline --student studies/nano-masks/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano-masks/webshop/teacher.jsonl --batch 8 --steps 300 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-offline-1
python -m sad_eval --agent studies/nano-masks/webshop/nano-0.7m-sad-offline-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out studies/nano-masks/webshop/eval/nano-0.7m-sad-offline-1 --workers 0 --reference studies/nano-masks/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-random-mask-1
python -m sad_distill --out studies/nano-masks/webshop/nano-0.7m-sad-random-mask-1 --teacher studies/nano-masks/webshop/teacher-given/student.pt --seed 1 --method sad --mode offline --masks random --student studies/nano-masks/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano-masks/webshop/teacher.jsonl --batch 8 --steps 300 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-random-mask-1
python -m sad_eval --agent studies/nano-masks/webshop/nano-0.7m-sad-random-mask-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out studies/nano-masks/webshop/eval/nano-0.7m-sad-random-mask-1 --workers 0 --reference studies/nano-masks/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-offline-2
python -m sad_distill --out studies/nano-masks/webshop/nano-0.7m-sad-offline-2 --teacher studies/nano-masks/webshop/teacher-given/student.pt --seed 2 --method sad --mode offline --student studies/nano-masks/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano-masks/webshop/teacher.jsonl --batch 8 --steps 300 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-offline-2
python -m sad_eval --agent studies/nano-masks/webshop/nano-0.7m-sad-offline-2/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out studies/nano-masks/webshop/eval/nano-0.7m-sad-offline-2 --workers 0 --reference studies/nano-masks/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-random-mask-2
python -m sad_distill --out studies/nano-masks/webshop/nano-0.7m-sad-random-mask-2 --teacher studies/nano-masks/webshop/teacher-given/student.pt --seed 2 --method sad --mode offline --masks random --student studies/nano-masks/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano-masks/webshop/teacher.jsonl --batch 8 --steps 300 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-random-mask-2
python -m sad_eval --agent studies/nano-masks/webshop/nano-0.7m-sad-random-mask-2/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out studies/nano-masks/webshop/eval/nano-0.7m-sad-random-mask-2 --workers 0 --reference studies/nano-masks/webshop/eval/teacher --quiet
