# webshop: collect expert
python -m sad_agents --agent expert-plain --episodes 3000 --slip 0.15 --env webshop --data generated --split train_shops --max-steps 0 --out studies/nano/webshop/expert.jsonl --workers 0
# webshop: evaluate teacher
python -m sad_eval --agent studies/nano/webshop/teacher-given/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/teacher --workers 0 --quiet
# webshop: collect teacher
python -m sad_agents --agent studies/nano/webshop/teacher-given/student.pt --episodes 250 --temperature 0.2 --env webshop --data generated --split train_shops --max-steps 0 --out studies/nano/webshop/teacher.jsonl --workers 0 --only-success
# webshop: evaluate expert
python -m sad_eval --agent expert-plain --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/expert --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: evaluate random
python -m sad_eval --agent random --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/random --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-start-0
python -m sad_distill --out studies/nano/webshop/nano-2m-start-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --student nano-2m --method sft --mode offline --episodes studies/nano/webshop/expert.jsonl --batch 8 --steps 800 --learning-rate 0.001 --embedding-factor 10 --optimiser muon --observation-weight 0.3 --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-start-0
python -m sad_eval --agent studies/nano/webshop/nano-2m-start-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-start-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-seqkd-0
python -m sad_distill --out studies/nano/webshop/nano-2m-seqkd-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method seqkd --mode offline --student studies/nano/webshop/nano-2m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-seqkd-0
python -m sad_eval --agent studies/nano/webshop/nano-2m-seqkd-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-seqkd-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-word-kd-0
python -m sad_distill --out studies/nano/webshop/nano-2m-word-kd-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method word_kd --mode offline --student studies/nano/webshop/nano-2m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-word-kd-0
python -m sad_eval --agent studies/nano/webshop/nano-2m-word-kd-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-word-kd-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-token-offline-0
python -m sad_distill --out studies/nano/webshop/nano-2m-token-offline-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method token_flat --mode offline --student studies/nano/webshop/nano-2m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-token-offline-0
python -m sad_eval --agent studies/nano/webshop/nano-2m-token-offline-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-token-offline-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-token-online-0
python -m sad_distill --out studies/nano/webshop/nano-2m-token-online-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method token_flat --mode online --student studies/nano/webshop/nano-2m-start-0/student.pt --rollouts 16 --updates 8 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-token-online-0
python -m sad_eval --agent studies/nano/webshop/nano-2m-token-online-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-token-online-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-minillm-0
python -m sad_distill --out studies/nano/webshop/nano-2m-minillm-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method minillm --mode online --passes 4 --student studies/nano/webshop/nano-2m-start-0/student.pt --rollouts 16 --updates 32 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-minillm-0
python -m sad_eval --agent studies/nano/webshop/nano-2m-minillm-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-minillm-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-sad-offline-0
python -m sad_distill --out studies/nano/webshop/nano-2m-sad-offline-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method sad --mode offline --student studies/nano/webshop/nano-2m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-sad-offline-0
python -m sad_eval --agent studies/nano/webshop/nano-2m-sad-offline-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-sad-offline-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-sad-online-0
python -m sad_distill --out studies/nano/webshop/nano-2m-sad-online-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method sad --mode online --student studies/nano/webshop/nano-2m-start-0/student.pt --rollouts 16 --updates 8 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-sad-online-0
python -m sad_eval --agent studies/nano/webshop/nano-2m-sad-online-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-sad-online-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-start-0
python -m sad_distill --out studies/nano/webshop/nano-0.7m-start-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --student nano-0.7m --method sft --mode offline --episodes studies/nano/webshop/expert.jsonl --batch 8 --steps 800 --learning-rate 0.001 --embedding-factor 10 --optimiser muon --observation-weight 0.3 --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-start-0
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-start-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-start-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-seqkd-0
python -m sad_distill --out studies/nano/webshop/nano-0.7m-seqkd-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method seqkd --mode offline --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-seqkd-0
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-seqkd-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-seqkd-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-word-kd-0
python -m sad_distill --out studies/nano/webshop/nano-0.7m-word-kd-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method word_kd --mode offline --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-word-kd-0
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-word-kd-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-word-kd-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-token-offline-0
python -m sad_distill --out studies/nano/webshop/nano-0.7m-token-offline-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method token_flat --mode offline --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-token-offline-0
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-token-offline-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-token-offline-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-token-online-0
python -m sad_distill --out studies/nano/webshop/nano-0.7m-token-online-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method token_flat --mode online --student studies/nano/webshop/nano-0.7m-start-0/student.pt --rollouts 16 --updates 8 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-token-online-0
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-token-online-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-token-online-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-minillm-0
python -m sad_distill --out studies/nano/webshop/nano-0.7m-minillm-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method minillm --mode online --passes 4 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --rollouts 16 --updates 32 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-minillm-0
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-minillm-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-minillm-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-offline-0
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-offline-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method sad --mode offline --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-offline-0
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-offline-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-offline-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-online-0
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-online-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method sad --mode online --student studies/nano/webshop/nano-0.7m-start-0/student.pt --rollouts 16 --updates 8 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-online-0
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-online-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-online-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-random-mask-0
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-random-mask-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method sad --mode offline --masks random --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-random-mask-0
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-random-mask-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-random-mask-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-no-reasoning-0
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-no-reasoning-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method sad --mode offline --reason-weight 0 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-no-reasoning-0
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-no-reasoning-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-no-reasoning-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-no-action-0
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-no-action-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method sad --mode offline --act-weight 0 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-no-action-0
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-no-action-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-no-action-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-1-2-0
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-1-2-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method sad --mode offline --act-weight 2 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-1-2-0
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-1-2-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-1-2-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-2-1-0
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-2-1-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method sad --mode offline --reason-weight 2 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-2-1-0
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-2-1-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-2-1-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-curriculum-0
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-curriculum-0 --teacher studies/nano/webshop/teacher-given/student.pt --seed 0 --method sad --mode offline --curriculum sample --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-curriculum-0
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-curriculum-0/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-curriculum-0 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-seqkd-1
python -m sad_distill --out studies/nano/webshop/nano-2m-seqkd-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method seqkd --mode offline --student studies/nano/webshop/nano-2m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-seqkd-1
python -m sad_eval --agent studies/nano/webshop/nano-2m-seqkd-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-seqkd-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-word-kd-1
python -m sad_distill --out studies/nano/webshop/nano-2m-word-kd-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method word_kd --mode offline --student studies/nano/webshop/nano-2m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-word-kd-1
python -m sad_eval --agent studies/nano/webshop/nano-2m-word-kd-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-word-kd-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-token-offline-1
python -m sad_distill --out studies/nano/webshop/nano-2m-token-offline-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method token_flat --mode offline --student studies/nano/webshop/nano-2m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-token-offline-1
python -m sad_eval --agent studies/nano/webshop/nano-2m-token-offline-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-token-offline-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-token-online-1
python -m sad_distill --out studies/nano/webshop/nano-2m-token-online-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method token_flat --mode online --student studies/nano/webshop/nano-2m-start-0/student.pt --rollouts 16 --updates 8 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-token-online-1
python -m sad_eval --agent studies/nano/webshop/nano-2m-token-online-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-token-online-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-minillm-1
python -m sad_distill --out studies/nano/webshop/nano-2m-minillm-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method minillm --mode online --passes 4 --student studies/nano/webshop/nano-2m-start-0/student.pt --rollouts 16 --updates 32 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-minillm-1
python -m sad_eval --agent studies/nano/webshop/nano-2m-minillm-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-minillm-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-sad-offline-1
python -m sad_distill --out studies/nano/webshop/nano-2m-sad-offline-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method sad --mode offline --student studies/nano/webshop/nano-2m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-sad-offline-1
python -m sad_eval --agent studies/nano/webshop/nano-2m-sad-offline-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-sad-offline-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-sad-online-1
python -m sad_distill --out studies/nano/webshop/nano-2m-sad-online-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method sad --mode online --student studies/nano/webshop/nano-2m-start-0/student.pt --rollouts 16 --updates 8 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-sad-online-1
python -m sad_eval --agent studies/nano/webshop/nano-2m-sad-online-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-sad-online-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-seqkd-1
python -m sad_distill --out studies/nano/webshop/nano-0.7m-seqkd-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method seqkd --mode offline --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-seqkd-1
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-seqkd-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-seqkd-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-word-kd-1
python -m sad_distill --out studies/nano/webshop/nano-0.7m-word-kd-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method word_kd --mode offline --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-word-kd-1
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-word-kd-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-word-kd-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-token-offline-1
python -m sad_distill --out studies/nano/webshop/nano-0.7m-token-offline-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method token_flat --mode offline --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-token-offline-1
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-token-offline-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-token-offline-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-token-online-1
python -m sad_distill --out studies/nano/webshop/nano-0.7m-token-online-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method token_flat --mode online --student studies/nano/webshop/nano-0.7m-start-0/student.pt --rollouts 16 --updates 8 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-token-online-1
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-token-online-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-token-online-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-minillm-1
python -m sad_distill --out studies/nano/webshop/nano-0.7m-minillm-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method minillm --mode online --passes 4 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --rollouts 16 --updates 32 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-minillm-1
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-minillm-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-minillm-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-offline-1
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-offline-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method sad --mode offline --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-offline-1
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-offline-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-offline-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-online-1
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-online-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method sad --mode online --student studies/nano/webshop/nano-0.7m-start-0/student.pt --rollouts 16 --updates 8 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-online-1
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-online-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-online-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-random-mask-1
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-random-mask-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method sad --mode offline --masks random --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-random-mask-1
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-random-mask-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-random-mask-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-no-reasoning-1
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-no-reasoning-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method sad --mode offline --reason-weight 0 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-no-reasoning-1
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-no-reasoning-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-no-reasoning-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-no-action-1
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-no-action-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method sad --mode offline --act-weight 0 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-no-action-1
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-no-action-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-no-action-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-1-2-1
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-1-2-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method sad --mode offline --act-weight 2 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-1-2-1
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-1-2-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-1-2-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-2-1-1
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-2-1-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method sad --mode offline --reason-weight 2 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-2-1-1
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-2-1-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-2-1-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-curriculum-1
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-curriculum-1 --teacher studies/nano/webshop/teacher-given/student.pt --seed 1 --method sad --mode offline --curriculum sample --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-curriculum-1
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-curriculum-1/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-curriculum-1 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-seqkd-2
python -m sad_distill --out studies/nano/webshop/nano-2m-seqkd-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method seqkd --mode offline --student studies/nano/webshop/nano-2m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-seqkd-2
python -m sad_eval --agent studies/nano/webshop/nano-2m-seqkd-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-seqkd-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-word-kd-2
python -m sad_distill --out studies/nano/webshop/nano-2m-word-kd-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method word_kd --mode offline --student studies/nano/webshop/nano-2m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-word-kd-2
python -m sad_eval --agent studies/nano/webshop/nano-2m-word-kd-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-word-kd-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-token-offline-2
python -m sad_distill --out studies/nano/webshop/nano-2m-token-offline-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method token_flat --mode offline --student studies/nano/webshop/nano-2m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-token-offline-2
python -m sad_eval --agent studies/nano/webshop/nano-2m-token-offline-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-token-offline-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-token-online-2
python -m sad_distill --out studies/nano/webshop/nano-2m-token-online-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method token_flat --mode online --student studies/nano/webshop/nano-2m-start-0/student.pt --rollouts 16 --updates 8 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-token-online-2
python -m sad_eval --agent studies/nano/webshop/nano-2m-token-online-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-token-online-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-minillm-2
python -m sad_distill --out studies/nano/webshop/nano-2m-minillm-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method minillm --mode online --passes 4 --student studies/nano/webshop/nano-2m-start-0/student.pt --rollouts 16 --updates 32 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-minillm-2
python -m sad_eval --agent studies/nano/webshop/nano-2m-minillm-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-minillm-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-sad-offline-2
python -m sad_distill --out studies/nano/webshop/nano-2m-sad-offline-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method sad --mode offline --student studies/nano/webshop/nano-2m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-sad-offline-2
python -m sad_eval --agent studies/nano/webshop/nano-2m-sad-offline-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-sad-offline-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-2m-sad-online-2
python -m sad_distill --out studies/nano/webshop/nano-2m-sad-online-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method sad --mode online --student studies/nano/webshop/nano-2m-start-0/student.pt --rollouts 16 --updates 8 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-2m-sad-online-2
python -m sad_eval --agent studies/nano/webshop/nano-2m-sad-online-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-2m-sad-online-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-seqkd-2
python -m sad_distill --out studies/nano/webshop/nano-0.7m-seqkd-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method seqkd --mode offline --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-seqkd-2
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-seqkd-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-seqkd-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-word-kd-2
python -m sad_distill --out studies/nano/webshop/nano-0.7m-word-kd-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method word_kd --mode offline --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-word-kd-2
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-word-kd-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-word-kd-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-token-offline-2
python -m sad_distill --out studies/nano/webshop/nano-0.7m-token-offline-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method token_flat --mode offline --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-token-offline-2
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-token-offline-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-token-offline-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-token-online-2
python -m sad_distill --out studies/nano/webshop/nano-0.7m-token-online-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method token_flat --mode online --student studies/nano/webshop/nano-0.7m-start-0/student.pt --rollouts 16 --updates 8 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-token-online-2
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-token-online-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-token-online-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-minillm-2
python -m sad_distill --out studies/nano/webshop/nano-0.7m-minillm-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method minillm --mode online --passes 4 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --rollouts 16 --updates 32 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-minillm-2
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-minillm-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-minillm-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-offline-2
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-offline-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method sad --mode offline --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-offline-2
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-offline-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-offline-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-online-2
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-online-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method sad --mode online --student studies/nano/webshop/nano-0.7m-start-0/student.pt --rollouts 16 --updates 8 --sampling-temperature 0.3 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-online-2
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-online-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-online-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-random-mask-2
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-random-mask-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method sad --mode offline --masks random --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-random-mask-2
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-random-mask-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-random-mask-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-no-reasoning-2
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-no-reasoning-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method sad --mode offline --reason-weight 0 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-no-reasoning-2
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-no-reasoning-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-no-reasoning-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-no-action-2
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-no-action-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method sad --mode offline --act-weight 0 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-no-action-2
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-no-action-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-no-action-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-1-2-2
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-1-2-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method sad --mode offline --act-weight 2 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-1-2-2
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-1-2-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-1-2-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-2-1-2
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-2-1-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method sad --mode offline --reason-weight 2 --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-2-1-2
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-2-1-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-2-1-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-curriculum-2
python -m sad_distill --out studies/nano/webshop/nano-0.7m-sad-curriculum-2 --teacher studies/nano/webshop/teacher-given/student.pt --seed 2 --method sad --mode offline --curriculum sample --student studies/nano/webshop/nano-0.7m-start-0/student.pt --episodes studies/nano/webshop/teacher.jsonl --batch 8 --steps 64 --learning-rate 0.0003 --optimiser muon --world webshop --data generated --split train_shops --budget 512 --precision bf16
# webshop: evaluate nano-0.7m-sad-curriculum-2
python -m sad_eval --agent studies/nano/webshop/nano-0.7m-sad-curriculum-2/student.pt --env webshop --data generated --episodes 80 --max-steps 0 --out studies/nano/webshop/eval/nano-0.7m-sad-curriculum-2 --workers 0 --reference studies/nano/webshop/eval/teacher --quiet
