# webshop: collect expert
python -m sad_agents --agent expert-plain --episodes 2000 --slip 0.15 --env webshop --data generated --split train_shops --max-steps 0 --out studies/nano-constrained/webshop/expert.jsonl --workers 0
# webshop: evaluate teacher
python -m sad_eval --agent studies/nano-constrained/webshop/teacher-given/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano-constrained/webshop/eval/teacher --workers 0 --quiet
# webshop: collect teacher
python -m sad_agents --agent studies/nano-constrained/webshop/teacher-given/student.pt --episodes 250 --temperature 0.2 --env webshop --data generated --split train_shops --max-steps 0 --out studies/nano-constrained/webshop/teacher.jsonl --workers 0 --only-success
# webshop: evaluate expert
python -m sad_eval --agent expert-plain --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano-constrained/webshop/eval/expert --workers 0 --reference studies/nano-constrained/webshop/eval/teacher --quiet
# webshop: evaluate random
python -m sad_eval --agent random --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano-constrained/webshop/eval/random --workers 0 --reference studies/nano-constrained/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-start-0
python -m sad_distill --out studies/nano-constrained/webshop/nano-0.7m-start-0 --teacher studies/nano-constrained/webshop/teacher-given/student.pt --seed 0 --student nano-0.7m --method sft --mode offline --trajectories studies/nano-constrained/webshop/expert.jsonl --batch 8 --steps 500 --learning-rate 0.001 --embedding-factor 10.0 --optimiser muon --observation-weight 0.3 --env webshop --data generated --split train_shops --context 512 --precision bf16
# webshop: evaluate nano-0.7m-start-0
python -m sad_eval --agent studies/nano-constrained/webshop/nano-0.7m-start-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano-constrained/webshop/eval/nano-0.7m-start-0 --workers 0 --reference studies/nano-constrained/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-offline-0
python -m sad_distill --out studies/nano-constrained/webshop/nano-0.7m-sad-offline-0 --teacher studies/nano-constrained/webshop/teacher-given/student.pt --seed 0 --method sad --mode offline --student studies/nano-constrained/webshop/nano-0.7m-start-0/student.pt --trajectories studies/nano-constrained/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --env webshop --data generated --split train_shops --context 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-offline-0
python -m sad_eval --agent studies/nano-constrained/webshop/nano-0.7m-sad-offline-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano-constrained/webshop/eval/nano-0.7m-sad-offline-0 --workers 0 --reference studies/nano-constrained/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-constrained-0
python -m sad_distill --out studies/nano-constrained/webshop/nano-0.7m-sad-constrained-0 --teacher studies/nano-constrained/webshop/teacher-given/student.pt --seed 0 --method sad --mode offline --config constrained --student studies/nano-constrained/webshop/nano-0.7m-start-0/student.pt --trajectories studies/nano-constrained/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --env webshop --data generated --split train_shops --context 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-constrained-0
python -m sad_eval --agent studies/nano-constrained/webshop/nano-0.7m-sad-constrained-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano-constrained/webshop/eval/nano-0.7m-sad-constrained-0 --workers 0 --reference studies/nano-constrained/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-offline-1
python -m sad_distill --out studies/nano-constrained/webshop/nano-0.7m-sad-offline-1 --teacher studies/nano-constrained/webshop/teacher-given/student.pt --seed 1 --method sad --mode offline --student studies/nano-constrained/webshop/nano-0.7m-start-0/student.pt --trajectories studies/nano-constrained/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --env webshop --data generated --split train_shops --context 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-offline-1
python -m sad_eval --agent studies/nano-constrained/webshop/nano-0.7m-sad-offline-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano-constrained/webshop/eval/nano-0.7m-sad-offline-1 --workers 0 --reference studies/nano-constrained/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-constrained-1
python -m sad_distill --out studies/nano-constrained/webshop/nano-0.7m-sad-constrained-1 --teacher studies/nano-constrained/webshop/teacher-given/student.pt --seed 1 --method sad --mode offline --config constrained --student studies/nano-constrained/webshop/nano-0.7m-start-0/student.pt --trajectories studies/nano-constrained/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --env webshop --data generated --split train_shops --context 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-constrained-1
python -m sad_eval --agent studies/nano-constrained/webshop/nano-0.7m-sad-constrained-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano-constrained/webshop/eval/nano-0.7m-sad-constrained-1 --workers 0 --reference studies/nano-constrained/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-offline-2
python -m sad_distill --out studies/nano-constrained/webshop/nano-0.7m-sad-offline-2 --teacher studies/nano-constrained/webshop/teacher-given/student.pt --seed 2 --method sad --mode offline --student studies/nano-constrained/webshop/nano-0.7m-start-0/student.pt --trajectories studies/nano-constrained/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --env webshop --data generated --split train_shops --context 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-offline-2
python -m sad_eval --agent studies/nano-constrained/webshop/nano-0.7m-sad-offline-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano-constrained/webshop/eval/nano-0.7m-sad-offline-2 --workers 0 --reference studies/nano-constrained/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-constrained-2
python -m sad_distill --out studies/nano-constrained/webshop/nano-0.7m-sad-constrained-2 --teacher studies/nano-constrained/webshop/teacher-given/student.pt --seed 2 --method sad --mode offline --config constrained --student studies/nano-constrained/webshop/nano-0.7m-start-0/student.pt --trajectories studies/nano-constrained/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --env webshop --data generated --split train_shops --context 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-constrained-2
python -m sad_eval --agent studies/nano-constrained/webshop/nano-0.7m-sad-constrained-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano-constrained/webshop/eval/nano-0.7m-sad-constrained-2 --workers 0 --reference studies/nano-constrained/webshop/eval/teacher --quiet
