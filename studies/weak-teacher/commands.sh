# hotpotqa: collect expert
python -m sad_agents --agent expert-plain --episodes 6000 --slip 0.15 --env hotpotqa --data generated --split train --max-steps 0 --out study/hotpotqa/expert.jsonl --workers 0
# hotpotqa: train teacher
python -m sad_distill --out study/hotpotqa/teacher --student nano-2m --method sft --mode offline --trajectories study/hotpotqa/expert.jsonl --batch 8 --steps 600 --learning-rate 0.001 --embedding-factor 10.0 --optimiser muon --observation-weight 0.3 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate teacher
python -m sad_eval --agent study/hotpotqa/teacher/student.pt --env hotpotqa --data generated --episodes 1000 --max-steps 0 --out study/hotpotqa/eval/teacher --workers 0 --quiet
# hotpotqa: collect teacher
python -m sad_agents --agent study/hotpotqa/teacher/student.pt --episodes 6000 --temperature 0.2 --record-top-logprobs 16 --env hotpotqa --data generated --split train --max-steps 0 --out study/hotpotqa/teacher.jsonl --workers 0 --only-success
# hotpotqa: evaluate expert
python -m sad_eval --agent expert-plain --env hotpotqa --data generated --episodes 1000 --max-steps 0 --out study/hotpotqa/eval/expert --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: evaluate random
python -m sad_eval --agent random --env hotpotqa --data generated --episodes 1000 --max-steps 0 --out study/hotpotqa/eval/random --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-start-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-start-0 --teacher study/hotpotqa/teacher/student.pt --seed 0 --student nano-0.7m --method sft --mode offline --trajectories study/hotpotqa/expert.jsonl --batch 8 --steps 800 --learning-rate 0.001 --embedding-factor 10.0 --optimiser muon --observation-weight 0.3 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-start-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-start-0/student.pt --env hotpotqa --data generated --episodes 1000 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-start-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-sad-recorded-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-sad-recorded-0 --seed 0 --config field/sad-recorded --method sad --mode offline --student study/hotpotqa/nano-0.7m-start-0/student.pt --precision bf16 --trajectories study/hotpotqa/teacher.jsonl --processor-seconds 300 --env hotpotqa --data generated --split train --context 512
# hotpotqa: evaluate nano-0.7m-field-sad-recorded-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-sad-recorded-0/student.pt --env hotpotqa --data generated --episodes 1000 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-sad-recorded-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-sad-recorded-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-sad-recorded-1 --seed 1 --config field/sad-recorded --method sad --mode offline --student study/hotpotqa/nano-0.7m-start-0/student.pt --precision bf16 --trajectories study/hotpotqa/teacher.jsonl --processor-seconds 300 --env hotpotqa --data generated --split train --context 512
# hotpotqa: evaluate nano-0.7m-field-sad-recorded-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-sad-recorded-1/student.pt --env hotpotqa --data generated --episodes 1000 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-sad-recorded-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-sad-recorded-2
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-sad-recorded-2 --seed 2 --config field/sad-recorded --method sad --mode offline --student study/hotpotqa/nano-0.7m-start-0/student.pt --precision bf16 --trajectories study/hotpotqa/teacher.jsonl --processor-seconds 300 --env hotpotqa --data generated --split train --context 512
# hotpotqa: evaluate nano-0.7m-field-sad-recorded-2
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-sad-recorded-2/student.pt --env hotpotqa --data generated --episodes 1000 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-sad-recorded-2 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
