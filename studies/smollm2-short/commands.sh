# alfworld: collect expert
python -m sad_agents --agent expert --episodes 1600 --slip 0.15 --env alfworld --data games --split train --max-steps 30 --out studies/smollm2-short/alfworld/expert.jsonl --workers 0
# alfworld: train teacher
python -m sad_distill --out studies/smollm2-short/alfworld/teacher --student smollm2 --method sft --mode offline --trajectories studies/smollm2-short/alfworld/expert.jsonl --batch 4 --steps 200 --learning-rate 0.0003 --embedding-factor 1.0 --optimiser adamw --observation-weight 0.0 --env alfworld --data games --split train --context 768 --precision bf16
# alfworld: evaluate teacher
python -m sad_eval --agent studies/smollm2-short/alfworld/teacher/student.pt --env alfworld --data games --episodes 100 --max-steps 30 --out studies/smollm2-short/alfworld/eval/teacher --workers 0 --panel valid_seen --quiet
# alfworld: collect teacher
python -m sad_agents --agent studies/smollm2-short/alfworld/teacher/student.pt --episodes 120 --temperature 0.2 --env alfworld --data games --split train --max-steps 30 --out studies/smollm2-short/alfworld/teacher.jsonl --workers 0 --only-success
# alfworld: evaluate expert
python -m sad_eval --agent expert --env alfworld --data games --episodes 100 --max-steps 30 --out studies/smollm2-short/alfworld/eval/expert --workers 0 --panel valid_seen --reference studies/smollm2-short/alfworld/eval/teacher --quiet
# alfworld: evaluate random
python -m sad_eval --agent random --env alfworld --data games --episodes 100 --max-steps 30 --out studies/smollm2-short/alfworld/eval/random --workers 0 --panel valid_seen --reference studies/smollm2-short/alfworld/eval/teacher --quiet
# alfworld: train layers-10-start-0
python -m sad_distill --out studies/smollm2-short/alfworld/layers-10-start-0 --teacher studies/smollm2-short/alfworld/teacher/student.pt --seed 0 --student layers:10 --method sft --mode offline --trajectories studies/smollm2-short/alfworld/expert.jsonl --batch 4 --steps 100 --learning-rate 0.0003 --embedding-factor 1.0 --optimiser adamw --observation-weight 0.0 --env alfworld --data games --split train --context 768 --precision bf16
# alfworld: evaluate layers-10-start-0
python -m sad_eval --agent studies/smollm2-short/alfworld/layers-10-start-0/student.pt --env alfworld --data games --episodes 100 --max-steps 30 --out studies/smollm2-short/alfworld/eval/layers-10-start-0 --workers 0 --panel valid_seen --reference studies/smollm2-short/alfworld/eval/teacher --quiet
# alfworld: train layers-10-seqkd-0
python -m sad_distill --out studies/smollm2-short/alfworld/layers-10-seqkd-0 --teacher studies/smollm2-short/alfworld/teacher/student.pt --seed 0 --method seqkd --mode offline --student studies/smollm2-short/alfworld/layers-10-start-0/student.pt --trajectories studies/smollm2-short/alfworld/teacher.jsonl --batch 4 --steps 60 --learning-rate 0.0001 --optimiser adamw --env alfworld --data games --split train --context 768 --precision bf16
# alfworld: evaluate layers-10-seqkd-0
python -m sad_eval --agent studies/smollm2-short/alfworld/layers-10-seqkd-0/student.pt --env alfworld --data games --episodes 100 --max-steps 30 --out studies/smollm2-short/alfworld/eval/layers-10-seqkd-0 --workers 0 --panel valid_seen --reference studies/smollm2-short/alfworld/eval/teacher --quiet
# alfworld: train layers-10-sad-offline-0
python -m sad_distill --out studies/smollm2-short/alfworld/layers-10-sad-offline-0 --teacher studies/smollm2-short/alfworld/teacher/student.pt --seed 0 --method sad --mode offline --student studies/smollm2-short/alfworld/layers-10-start-0/student.pt --trajectories studies/smollm2-short/alfworld/teacher.jsonl --batch 4 --steps 60 --learning-rate 0.0001 --optimiser adamw --env alfworld --data games --split train --context 768 --precision bf16
# alfworld: evaluate layers-10-sad-offline-0
python -m sad_eval --agent studies/smollm2-short/alfworld/layers-10-sad-offline-0/student.pt --env alfworld --data games --episodes 100 --max-steps 30 --out studies/smollm2-short/alfworld/eval/layers-10-sad-offline-0 --workers 0 --panel valid_seen --reference studies/smollm2-short/alfworld/eval/teacher --quiet
# alfworld: train layers-10-sad-online-0
python -m sad_distill --out studies/smollm2-short/alfworld/layers-10-sad-online-0 --teacher studies/smollm2-short/alfworld/teacher/student.pt --seed 0 --method sad --mode online --student studies/smollm2-short/alfworld/layers-10-start-0/student.pt --rollouts 4 --horizon-start 30 --horizon-every 1000000000 --updates 2 --steps 60 --learning-rate 0.0001 --optimiser adamw --env alfworld --data games --split train --context 768 --precision bf16
# alfworld: evaluate layers-10-sad-online-0
python -m sad_eval --agent studies/smollm2-short/alfworld/layers-10-sad-online-0/student.pt --env alfworld --data games --episodes 100 --max-steps 30 --out studies/smollm2-short/alfworld/eval/layers-10-sad-online-0 --workers 0 --panel valid_seen --reference studies/smollm2-short/alfworld/eval/teacher --quiet
