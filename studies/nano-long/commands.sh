# alfworld: collect expert
python -m sad_agents --agent expert-plain --episodes 3000 --slip 0.15 --renamed 0.7 --env alfworld --data generated --split train_rooms --max-steps 20 --out studies/nano-long/alfworld/expert.jsonl --workers 0
# alfworld: evaluate teacher
python -m sad_eval --agent studies/nano-long/alfworld/teacher-given/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/teacher --workers 0 --quiet
# alfworld: collect teacher
python -m sad_agents --agent studies/nano-long/alfworld/teacher-given/student.pt --episodes 1500 --temperature 0.2 --env alfworld --data generated --split train_rooms --max-steps 20 --out studies/nano-long/alfworld/teacher.jsonl --workers 0 --only-success
# alfworld: evaluate expert
python -m sad_eval --agent expert-plain --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/expert --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# alfworld: evaluate random
python -m sad_eval --agent random --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/random --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-start-0
python -m sad_distill --out studies/nano-long/alfworld/nano-0.7m-start-0 --teacher studies/nano-long/alfworld/teacher-given/student.pt --seed 0 --student nano-0.7m --method sft --mode offline --episodes studies/nano-long/alfworld/expert.jsonl --batch 8 --steps 800 --learning-rate 0.001 --embedding-factor 10 --optimiser muon --observation-weight 0.3 --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-start-0
python -m sad_eval --agent studies/nano-long/alfworld/nano-0.7m-start-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/nano-0.7m-start-0 --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-seqkd-0
python -m sad_distill --out studies/nano-long/alfworld/nano-0.7m-seqkd-0 --teacher studies/nano-long/alfworld/teacher-given/student.pt --seed 0 --method seqkd --mode offline --student studies/nano-long/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-long/alfworld/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-seqkd-0
python -m sad_eval --agent studies/nano-long/alfworld/nano-0.7m-seqkd-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/nano-0.7m-seqkd-0 --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-word-kd-0
python -m sad_distill --out studies/nano-long/alfworld/nano-0.7m-word-kd-0 --teacher studies/nano-long/alfworld/teacher-given/student.pt --seed 0 --method word_kd --mode offline --student studies/nano-long/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-long/alfworld/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-word-kd-0
python -m sad_eval --agent studies/nano-long/alfworld/nano-0.7m-word-kd-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/nano-0.7m-word-kd-0 --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-token-offline-0
python -m sad_distill --out studies/nano-long/alfworld/nano-0.7m-token-offline-0 --teacher studies/nano-long/alfworld/teacher-given/student.pt --seed 0 --method token_flat --mode offline --student studies/nano-long/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-long/alfworld/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-token-offline-0
python -m sad_eval --agent studies/nano-long/alfworld/nano-0.7m-token-offline-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/nano-0.7m-token-offline-0 --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-sad-offline-0
python -m sad_distill --out studies/nano-long/alfworld/nano-0.7m-sad-offline-0 --teacher studies/nano-long/alfworld/teacher-given/student.pt --seed 0 --method sad --mode offline --student studies/nano-long/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-long/alfworld/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-sad-offline-0
python -m sad_eval --agent studies/nano-long/alfworld/nano-0.7m-sad-offline-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/nano-0.7m-sad-offline-0 --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-seqkd-1
python -m sad_distill --out studies/nano-long/alfworld/nano-0.7m-seqkd-1 --teacher studies/nano-long/alfworld/teacher-given/student.pt --seed 1 --method seqkd --mode offline --student studies/nano-long/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-long/alfworld/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-seqkd-1
python -m sad_eval --agent studies/nano-long/alfworld/nano-0.7m-seqkd-1/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/nano-0.7m-seqkd-1 --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-word-kd-1
python -m sad_distill --out studies/nano-long/alfworld/nano-0.7m-word-kd-1 --teacher studies/nano-long/alfworld/teacher-given/student.pt --seed 1 --method word_kd --mode offline --student studies/nano-long/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-long/alfworld/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-word-kd-1
python -m sad_eval --agent studies/nano-long/alfworld/nano-0.7m-word-kd-1/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/nano-0.7m-word-kd-1 --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-token-offline-1
python -m sad_distill --out studies/nano-long/alfworld/nano-0.7m-token-offline-1 --teacher studies/nano-long/alfworld/teacher-given/student.pt --seed 1 --method token_flat --mode offline --student studies/nano-long/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-long/alfworld/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-token-offline-1
python -m sad_eval --agent studies/nano-long/alfworld/nano-0.7m-token-offline-1/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/nano-0.7m-token-offline-1 --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-sad-offline-1
python -m sad_distill --out studies/nano-long/alfworld/nano-0.7m-sad-offline-1 --teacher studies/nano-long/alfworld/teacher-given/student.pt --seed 1 --method sad --mode offline --student studies/nano-long/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-long/alfworld/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-sad-offline-1
python -m sad_eval --agent studies/nano-long/alfworld/nano-0.7m-sad-offline-1/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/nano-0.7m-sad-offline-1 --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-seqkd-2
python -m sad_distill --out studies/nano-long/alfworld/nano-0.7m-seqkd-2 --teacher studies/nano-long/alfworld/teacher-given/student.pt --seed 2 --method seqkd --mode offline --student studies/nano-long/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-long/alfworld/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-seqkd-2
python -m sad_eval --agent studies/nano-long/alfworld/nano-0.7m-seqkd-2/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/nano-0.7m-seqkd-2 --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-word-kd-2
python -m sad_distill --out studies/nano-long/alfworld/nano-0.7m-word-kd-2 --teacher studies/nano-long/alfworld/teacher-given/student.pt --seed 2 --method word_kd --mode offline --student studies/nano-long/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-long/alfworld/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-word-kd-2
python -m sad_eval --agent studies/nano-long/alfworld/nano-0.7m-word-kd-2/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/nano-0.7m-word-kd-2 --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-token-offline-2
python -m sad_distill --out studies/nano-long/alfworld/nano-0.7m-token-offline-2 --teacher studies/nano-long/alfworld/teacher-given/student.pt --seed 2 --method token_flat --mode offline --student studies/nano-long/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-long/alfworld/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-token-offline-2
python -m sad_eval --agent studies/nano-long/alfworld/nano-0.7m-token-offline-2/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/nano-0.7m-token-offline-2 --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-sad-offline-2
python -m sad_distill --out studies/nano-long/alfworld/nano-0.7m-sad-offline-2 --teacher studies/nano-long/alfworld/teacher-given/student.pt --seed 2 --method sad --mode offline --student studies/nano-long/alfworld/nano-0.7m-start-0/student.pt --episodes studies/nano-long/alfworld/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world alfworld --data generated --split train_rooms --budget 512 --precision bf16
# alfworld: evaluate nano-0.7m-sad-offline-2
python -m sad_eval --agent studies/nano-long/alfworld/nano-0.7m-sad-offline-2/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out studies/nano-long/alfworld/eval/nano-0.7m-sad-offline-2 --workers 0 --reference studies/nano-long/alfworld/eval/teacher --quiet
# hotpotqa: collect expert
python -m sad_agents --agent expert-plain --episodes 6000 --slip 0.15 --env hotpotqa --data generated --split train --max-steps 0 --out studies/nano-long/hotpotqa/expert.jsonl --workers 0
# hotpotqa: evaluate teacher
python -m sad_eval --agent studies/nano-long/hotpotqa/teacher-given/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/teacher --workers 0 --quiet
# hotpotqa: collect teacher
python -m sad_agents --agent studies/nano-long/hotpotqa/teacher-given/student.pt --episodes 4000 --temperature 0.2 --env hotpotqa --data generated --split train --max-steps 0 --out studies/nano-long/hotpotqa/teacher.jsonl --workers 0 --only-success
# hotpotqa: evaluate expert
python -m sad_eval --agent expert-plain --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/expert --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: evaluate random
python -m sad_eval --agent random --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/random --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-start-0
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-start-0 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 0 --student nano-0.7m --method sft --mode offline --episodes studies/nano-long/hotpotqa/expert.jsonl --batch 8 --steps 800 --learning-rate 0.001 --embedding-factor 10 --optimiser muon --observation-weight 0.3 --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-start-0
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-start-0 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-seqkd-0
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-seqkd-0 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 0 --method seqkd --mode offline --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-seqkd-0
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-seqkd-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-seqkd-0 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-word-kd-0
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-word-kd-0 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 0 --method word_kd --mode offline --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-word-kd-0
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-word-kd-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-word-kd-0 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-token-offline-0
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-token-offline-0 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 0 --method token_flat --mode offline --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-token-offline-0
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-token-offline-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-token-offline-0 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-sad-offline-0
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-sad-offline-0 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 0 --method sad --mode offline --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-sad-offline-0
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-sad-offline-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-sad-offline-0 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-sad-random-mask-0
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-sad-random-mask-0 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 0 --method sad --mode offline --masks random --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-sad-random-mask-0
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-sad-random-mask-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-sad-random-mask-0 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-sad-curriculum-0
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-sad-curriculum-0 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 0 --method sad --mode offline --curriculum sample --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-sad-curriculum-0
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-sad-curriculum-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-sad-curriculum-0 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-seqkd-1
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-seqkd-1 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 1 --method seqkd --mode offline --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-seqkd-1
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-seqkd-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-seqkd-1 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-word-kd-1
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-word-kd-1 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 1 --method word_kd --mode offline --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-word-kd-1
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-word-kd-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-word-kd-1 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-token-offline-1
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-token-offline-1 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 1 --method token_flat --mode offline --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-token-offline-1
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-token-offline-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-token-offline-1 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-sad-offline-1
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-sad-offline-1 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 1 --method sad --mode offline --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-sad-offline-1
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-sad-offline-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-sad-offline-1 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-sad-random-mask-1
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-sad-random-mask-1 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 1 --method sad --mode offline --masks random --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-sad-random-mask-1
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-sad-random-mask-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-sad-random-mask-1 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-sad-curriculum-1
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-sad-curriculum-1 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 1 --method sad --mode offline --curriculum sample --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-sad-curriculum-1
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-sad-curriculum-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-sad-curriculum-1 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-seqkd-2
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-seqkd-2 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 2 --method seqkd --mode offline --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-seqkd-2
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-seqkd-2/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-seqkd-2 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-word-kd-2
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-word-kd-2 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 2 --method word_kd --mode offline --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-word-kd-2
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-word-kd-2/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-word-kd-2 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-token-offline-2
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-token-offline-2 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 2 --method token_flat --mode offline --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-token-offline-2
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-token-offline-2/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-token-offline-2 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-sad-offline-2
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-sad-offline-2 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 2 --method sad --mode offline --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-sad-offline-2
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-sad-offline-2/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-sad-offline-2 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-sad-random-mask-2
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-sad-random-mask-2 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 2 --method sad --mode offline --masks random --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-sad-random-mask-2
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-sad-random-mask-2/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-sad-random-mask-2 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-sad-curriculum-2
python -m sad_distill --out studies/nano-long/hotpotqa/nano-0.7m-sad-curriculum-2 --teacher studies/nano-long/hotpotqa/teacher-given/student.pt --seed 2 --method sad --mode offline --curriculum sample --student studies/nano-long/hotpotqa/nano-0.7m-start-0/student.pt --episodes studies/nano-long/hotpotqa/teacher.jsonl --batch 8 --steps 800 --learning-rate 0.0003 --optimiser muon --world hotpotqa --data generated --split train --budget 512 --precision bf16
# hotpotqa: evaluate nano-0.7m-sad-curriculum-2
python -m sad_eval --agent studies/nano-long/hotpotqa/nano-0.7m-sad-curriculum-2/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out studies/nano-long/hotpotqa/eval/nano-0.7m-sad-curriculum-2 --workers 0 --reference studies/nano-long/hotpotqa/eval/teacher --quiet
