# alfworld: collect expert
python -m sad_agents --agent expert-plain --episodes 3000 --slip 0.15 --renamed 0.7 --env alfworld --data generated --split train_rooms --max-steps 20 --out study/alfworld/expert.jsonl --workers 0
# alfworld: evaluate teacher
python -m sad_eval --agent study/alfworld/teacher-given/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/teacher --workers 0 --quiet
# alfworld: collect teacher
python -m sad_agents --agent study/alfworld/teacher-given/student.pt --episodes 1500 --temperature 0.2 --record-top-logprobs 16 --env alfworld --data generated --split train_rooms --max-steps 20 --out study/alfworld/teacher.jsonl --workers 0 --only-success
# alfworld: evaluate expert
python -m sad_eval --agent expert-plain --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/expert --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: evaluate random
python -m sad_eval --agent random --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/random --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-start-0
python -m sad_distill --out study/alfworld/nano-0.7m-start-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --student nano-0.7m --method sft --mode offline --trajectories study/alfworld/expert.jsonl --batch 8 --steps 800 --learning-rate 0.001 --embedding-factor 10.0 --optimiser muon --observation-weight 0.3 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-start-0
python -m sad_eval --agent study/alfworld/nano-0.7m-start-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-start-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-begin-0
python -m sad_distill --out study/alfworld/nano-0.7m-begin-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --method sad --mode offline --student study/alfworld/nano-0.7m-start-0/student.pt --trajectories study/alfworld/teacher.jsonl --batch 8 --steps 200 --learning-rate 0.0003 --optimiser muon --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-begin-0
python -m sad_eval --agent study/alfworld/nano-0.7m-begin-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-begin-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-sad-offline-0
python -m sad_distill --out study/alfworld/nano-0.7m-sad-offline-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --method sad --mode offline --student study/alfworld/nano-0.7m-begin-0/student.pt --trajectories study/alfworld/teacher.jsonl --batch 8 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-sad-offline-0
python -m sad_eval --agent study/alfworld/nano-0.7m-sad-offline-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-sad-offline-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-sad-online-0
python -m sad_distill --out study/alfworld/nano-0.7m-sad-online-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --method sad --mode online --student study/alfworld/nano-0.7m-begin-0/student.pt --rollouts 16 --horizon-start 20 --horizon-every 1000000000 --updates 1 --sampling-temperature 0.3 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-sad-online-0
python -m sad_eval --agent study/alfworld/nano-0.7m-sad-online-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-sad-online-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-sad-recorded-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-sad-recorded-0 --seed 0 --config field/sad-recorded --method sad --mode offline --student study/alfworld/nano-0.7m-begin-0/student.pt --precision bf16 --trajectories study/alfworld/teacher.jsonl --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512
# alfworld: evaluate nano-0.7m-field-sad-recorded-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-sad-recorded-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-sad-recorded-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-seqkd-0
python -m sad_distill --out study/alfworld/nano-0.7m-seqkd-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --method seqkd --mode offline --student study/alfworld/nano-0.7m-begin-0/student.pt --trajectories study/alfworld/teacher.jsonl --batch 8 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-seqkd-0
python -m sad_eval --agent study/alfworld/nano-0.7m-seqkd-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-seqkd-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-opd-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-opd-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --config field/opd --method policy --mode online --student study/alfworld/nano-0.7m-begin-0/student.pt --horizon-start 20 --horizon-every 1000000000 --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-field-opd-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-opd-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-opd-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-tcod-f2b-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-tcod-f2b-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --config field/tcod-f2b --method policy --mode online --student study/alfworld/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-field-tcod-f2b-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-tcod-f2b-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-tcod-f2b-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-tcod-b2f-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-tcod-b2f-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --config field/tcod-b2f --method policy --mode online --student study/alfworld/nano-0.7m-begin-0/student.pt --horizon-start 20 --horizon-every 1000000000 --trajectories study/alfworld/teacher.jsonl --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-field-tcod-b2f-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-tcod-b2f-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-tcod-b2f-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-guided-opd-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-guided-opd-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --config field/guided-opd --method policy --mode guided --student study/alfworld/nano-0.7m-begin-0/student.pt --horizon-start 20 --horizon-every 1000000000 --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-field-guided-opd-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-guided-opd-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-guided-opd-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-sdar-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-sdar-0 --seed 0 --config field/sdar --method policy --mode online --student study/alfworld/nano-0.7m-begin-0/student.pt --horizon-start 20 --horizon-every 1000000000 --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-field-sdar-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-sdar-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-sdar-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-opsd-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-opsd-0 --seed 0 --config field/opsd --method policy --mode online --student study/alfworld/nano-0.7m-begin-0/student.pt --horizon-start 20 --horizon-every 1000000000 --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-field-opsd-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-opsd-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-opsd-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-skill-sd-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-skill-sd-0 --seed 0 --config field/skill-sd --method policy --mode online --student study/alfworld/nano-0.7m-begin-0/student.pt --horizon-start 20 --horizon-every 1000000000 --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-field-skill-sd-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-skill-sd-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-skill-sd-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-atod-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-atod-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --config field/atod --method policy --mode online --student study/alfworld/nano-0.7m-begin-0/student.pt --horizon-start 20 --horizon-every 1000000000 --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-field-atod-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-atod-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-atod-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-grpo-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-grpo-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --config field/grpo --method policy --mode online --student study/alfworld/nano-0.7m-begin-0/student.pt --horizon-start 20 --horizon-every 1000000000 --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-field-grpo-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-grpo-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-grpo-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-gigpo-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-gigpo-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --config field/gigpo --method policy --mode online --student study/alfworld/nano-0.7m-begin-0/student.pt --horizon-start 20 --horizon-every 1000000000 --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-field-gigpo-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-gigpo-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-gigpo-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-rloo-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-rloo-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --config field/rloo --method policy --mode online --student study/alfworld/nano-0.7m-begin-0/student.pt --horizon-start 20 --horizon-every 1000000000 --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-field-rloo-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-rloo-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-rloo-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-rft-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-rft-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --config field/rft --method policy --mode online --student study/alfworld/nano-0.7m-begin-0/student.pt --horizon-start 20 --horizon-every 1000000000 --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-field-rft-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-rft-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-rft-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-dagger-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-dagger-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --config field/dagger --method sad --mode dagger --student study/alfworld/nano-0.7m-begin-0/student.pt --horizon-start 20 --horizon-every 1000000000 --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-field-dagger-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-dagger-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-dagger-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# alfworld: train nano-0.7m-field-sad-then-reward-0
python -m sad_distill --out study/alfworld/nano-0.7m-field-sad-then-reward-0 --teacher study/alfworld/teacher-given/student.pt --seed 0 --config field/sad-then-reward --student study/alfworld/nano-0.7m-begin-0/student.pt --horizon-start 20 --horizon-every 1000000000 --trajectories study/alfworld/teacher.jsonl --processor-seconds 200 --env alfworld --data generated --split train_rooms --context 512 --precision fp32
# alfworld: evaluate nano-0.7m-field-sad-then-reward-0
python -m sad_eval --agent study/alfworld/nano-0.7m-field-sad-then-reward-0/student.pt --env alfworld --data generated --episodes 134 --max-steps 20 --out study/alfworld/eval/nano-0.7m-field-sad-then-reward-0 --workers 0 --reference study/alfworld/eval/teacher --quiet
# hotpotqa: collect expert
python -m sad_agents --agent expert-plain --episodes 6000 --slip 0.15 --env hotpotqa --data generated --split train --max-steps 0 --out study/hotpotqa/expert.jsonl --workers 0
# hotpotqa: evaluate teacher
python -m sad_eval --agent study/hotpotqa/teacher-given/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/teacher --workers 0 --quiet
# hotpotqa: collect teacher
python -m sad_agents --agent study/hotpotqa/teacher-given/student.pt --episodes 4000 --temperature 0.2 --record-top-logprobs 16 --env hotpotqa --data generated --split train --max-steps 0 --out study/hotpotqa/teacher.jsonl --workers 0 --only-success
# hotpotqa: evaluate expert
python -m sad_eval --agent expert-plain --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/expert --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: evaluate random
python -m sad_eval --agent random --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/random --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-start-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-start-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --student nano-0.7m --method sft --mode offline --trajectories study/hotpotqa/expert.jsonl --batch 8 --steps 800 --learning-rate 0.001 --embedding-factor 10.0 --optimiser muon --observation-weight 0.3 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-start-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-start-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-start-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-begin-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-begin-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --method sad --mode offline --student study/hotpotqa/nano-0.7m-start-0/student.pt --trajectories study/hotpotqa/teacher.jsonl --batch 8 --steps 200 --learning-rate 0.0003 --optimiser muon --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-begin-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-begin-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-begin-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-sad-offline-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-sad-offline-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --method sad --mode offline --student study/hotpotqa/nano-0.7m-begin-0/student.pt --trajectories study/hotpotqa/teacher.jsonl --batch 8 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-sad-offline-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-sad-offline-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-sad-offline-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-sad-online-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-sad-online-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --method sad --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --rollouts 16 --updates 1 --sampling-temperature 0.3 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-sad-online-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-sad-online-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-sad-online-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-sad-recorded-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-sad-recorded-0 --seed 0 --config field/sad-recorded --method sad --mode offline --student study/hotpotqa/nano-0.7m-begin-0/student.pt --precision bf16 --trajectories study/hotpotqa/teacher.jsonl --processor-seconds 200 --env hotpotqa --data generated --split train --context 512
# hotpotqa: evaluate nano-0.7m-field-sad-recorded-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-sad-recorded-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-sad-recorded-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-seqkd-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-seqkd-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --method seqkd --mode offline --student study/hotpotqa/nano-0.7m-begin-0/student.pt --trajectories study/hotpotqa/teacher.jsonl --batch 8 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-seqkd-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-seqkd-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-seqkd-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-opd-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-opd-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --config field/opd --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-opd-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-opd-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-opd-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-tcod-f2b-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-tcod-f2b-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --config field/tcod-f2b --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-tcod-f2b-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-tcod-f2b-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-tcod-f2b-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-tcod-b2f-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-tcod-b2f-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --config field/tcod-b2f --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --trajectories study/hotpotqa/teacher.jsonl --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-tcod-b2f-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-tcod-b2f-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-tcod-b2f-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-guided-opd-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-guided-opd-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --config field/guided-opd --method policy --mode guided --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-guided-opd-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-guided-opd-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-guided-opd-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-sdar-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-sdar-0 --seed 0 --config field/sdar --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-sdar-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-sdar-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-sdar-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-opsd-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-opsd-0 --seed 0 --config field/opsd --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-opsd-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-opsd-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-opsd-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-skill-sd-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-skill-sd-0 --seed 0 --config field/skill-sd --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-skill-sd-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-skill-sd-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-skill-sd-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-atod-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-atod-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --config field/atod --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-atod-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-atod-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-atod-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-grpo-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-grpo-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --config field/grpo --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-grpo-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-grpo-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-grpo-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-gigpo-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-gigpo-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --config field/gigpo --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-gigpo-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-gigpo-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-gigpo-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-rloo-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-rloo-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --config field/rloo --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-rloo-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-rloo-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-rloo-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-rft-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-rft-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --config field/rft --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-rft-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-rft-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-rft-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-dagger-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-dagger-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --config field/dagger --method sad --mode dagger --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-dagger-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-dagger-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-dagger-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-sad-then-reward-0
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-sad-then-reward-0 --teacher study/hotpotqa/teacher-given/student.pt --seed 0 --config field/sad-then-reward --student study/hotpotqa/nano-0.7m-begin-0/student.pt --trajectories study/hotpotqa/teacher.jsonl --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-sad-then-reward-0
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-sad-then-reward-0/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-sad-then-reward-0 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-sad-offline-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-sad-offline-1 --teacher study/hotpotqa/teacher-given/student.pt --seed 1 --method sad --mode offline --student study/hotpotqa/nano-0.7m-begin-0/student.pt --trajectories study/hotpotqa/teacher.jsonl --batch 8 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-sad-offline-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-sad-offline-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-sad-offline-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-sad-online-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-sad-online-1 --teacher study/hotpotqa/teacher-given/student.pt --seed 1 --method sad --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --rollouts 16 --updates 1 --sampling-temperature 0.3 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-sad-online-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-sad-online-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-sad-online-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-sad-recorded-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-sad-recorded-1 --seed 1 --config field/sad-recorded --method sad --mode offline --student study/hotpotqa/nano-0.7m-begin-0/student.pt --precision bf16 --trajectories study/hotpotqa/teacher.jsonl --processor-seconds 200 --env hotpotqa --data generated --split train --context 512
# hotpotqa: evaluate nano-0.7m-field-sad-recorded-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-sad-recorded-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-sad-recorded-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-seqkd-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-seqkd-1 --teacher study/hotpotqa/teacher-given/student.pt --seed 1 --method seqkd --mode offline --student study/hotpotqa/nano-0.7m-begin-0/student.pt --trajectories study/hotpotqa/teacher.jsonl --batch 8 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-seqkd-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-seqkd-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-seqkd-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-opd-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-opd-1 --teacher study/hotpotqa/teacher-given/student.pt --seed 1 --config field/opd --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-opd-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-opd-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-opd-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-tcod-f2b-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-tcod-f2b-1 --teacher study/hotpotqa/teacher-given/student.pt --seed 1 --config field/tcod-f2b --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-tcod-f2b-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-tcod-f2b-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-tcod-f2b-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-tcod-b2f-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-tcod-b2f-1 --teacher study/hotpotqa/teacher-given/student.pt --seed 1 --config field/tcod-b2f --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --trajectories study/hotpotqa/teacher.jsonl --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-tcod-b2f-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-tcod-b2f-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-tcod-b2f-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-guided-opd-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-guided-opd-1 --teacher study/hotpotqa/teacher-given/student.pt --seed 1 --config field/guided-opd --method policy --mode guided --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-guided-opd-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-guided-opd-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-guided-opd-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-sdar-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-sdar-1 --seed 1 --config field/sdar --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-sdar-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-sdar-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-sdar-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-opsd-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-opsd-1 --seed 1 --config field/opsd --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-opsd-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-opsd-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-opsd-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-skill-sd-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-skill-sd-1 --seed 1 --config field/skill-sd --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-skill-sd-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-skill-sd-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-skill-sd-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-atod-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-atod-1 --teacher study/hotpotqa/teacher-given/student.pt --seed 1 --config field/atod --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-atod-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-atod-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-atod-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-grpo-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-grpo-1 --teacher study/hotpotqa/teacher-given/student.pt --seed 1 --config field/grpo --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-grpo-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-grpo-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-grpo-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-gigpo-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-gigpo-1 --teacher study/hotpotqa/teacher-given/student.pt --seed 1 --config field/gigpo --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-gigpo-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-gigpo-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-gigpo-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-rloo-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-rloo-1 --teacher study/hotpotqa/teacher-given/student.pt --seed 1 --config field/rloo --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-rloo-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-rloo-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-rloo-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-rft-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-rft-1 --teacher study/hotpotqa/teacher-given/student.pt --seed 1 --config field/rft --method policy --mode online --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-rft-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-rft-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-rft-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-dagger-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-dagger-1 --teacher study/hotpotqa/teacher-given/student.pt --seed 1 --config field/dagger --method sad --mode dagger --student study/hotpotqa/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-dagger-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-dagger-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-dagger-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# hotpotqa: train nano-0.7m-field-sad-then-reward-1
python -m sad_distill --out study/hotpotqa/nano-0.7m-field-sad-then-reward-1 --teacher study/hotpotqa/teacher-given/student.pt --seed 1 --config field/sad-then-reward --student study/hotpotqa/nano-0.7m-begin-0/student.pt --trajectories study/hotpotqa/teacher.jsonl --processor-seconds 200 --env hotpotqa --data generated --split train --context 512 --precision fp32
# hotpotqa: evaluate nano-0.7m-field-sad-then-reward-1
python -m sad_eval --agent study/hotpotqa/nano-0.7m-field-sad-then-reward-1/student.pt --env hotpotqa --data generated --episodes 200 --max-steps 0 --out study/hotpotqa/eval/nano-0.7m-field-sad-then-reward-1 --workers 0 --reference study/hotpotqa/eval/teacher --quiet
# webshop: collect expert
python -m sad_agents --agent expert-plain --episodes 3000 --slip 0.15 --env webshop --data generated --split train_shops --max-steps 0 --out study/webshop/expert.jsonl --workers 0
# webshop: evaluate teacher
python -m sad_eval --agent study/webshop/teacher-given/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/teacher --workers 0 --quiet
# webshop: collect teacher
python -m sad_agents --agent study/webshop/teacher-given/student.pt --episodes 1500 --temperature 0.2 --record-top-logprobs 16 --env webshop --data generated --split train_shops --max-steps 0 --out study/webshop/teacher.jsonl --workers 0 --only-success
# webshop: evaluate expert
python -m sad_eval --agent expert-plain --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/expert --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: evaluate random
python -m sad_eval --agent random --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/random --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-start-0
python -m sad_distill --out study/webshop/nano-0.7m-start-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --student nano-0.7m --method sft --mode offline --trajectories study/webshop/expert.jsonl --batch 8 --steps 800 --learning-rate 0.001 --embedding-factor 10.0 --optimiser muon --observation-weight 0.3 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-start-0
python -m sad_eval --agent study/webshop/nano-0.7m-start-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-start-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-begin-0
python -m sad_distill --out study/webshop/nano-0.7m-begin-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --method sad --mode offline --student study/webshop/nano-0.7m-start-0/student.pt --trajectories study/webshop/teacher.jsonl --batch 8 --steps 200 --learning-rate 0.0003 --optimiser muon --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-begin-0
python -m sad_eval --agent study/webshop/nano-0.7m-begin-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-begin-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-offline-0
python -m sad_distill --out study/webshop/nano-0.7m-sad-offline-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --method sad --mode offline --student study/webshop/nano-0.7m-begin-0/student.pt --trajectories study/webshop/teacher.jsonl --batch 8 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-sad-offline-0
python -m sad_eval --agent study/webshop/nano-0.7m-sad-offline-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-sad-offline-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-online-0
python -m sad_distill --out study/webshop/nano-0.7m-sad-online-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --method sad --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --rollouts 16 --updates 1 --sampling-temperature 0.3 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-sad-online-0
python -m sad_eval --agent study/webshop/nano-0.7m-sad-online-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-sad-online-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-sad-recorded-0
python -m sad_distill --out study/webshop/nano-0.7m-field-sad-recorded-0 --seed 0 --config field/sad-recorded --method sad --mode offline --student study/webshop/nano-0.7m-begin-0/student.pt --precision bf16 --trajectories study/webshop/teacher.jsonl --processor-seconds 200 --env webshop --data generated --split train_shops --context 512
# webshop: evaluate nano-0.7m-field-sad-recorded-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-sad-recorded-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-sad-recorded-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-seqkd-0
python -m sad_distill --out study/webshop/nano-0.7m-seqkd-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --method seqkd --mode offline --student study/webshop/nano-0.7m-begin-0/student.pt --trajectories study/webshop/teacher.jsonl --batch 8 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-seqkd-0
python -m sad_eval --agent study/webshop/nano-0.7m-seqkd-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-seqkd-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-opd-0
python -m sad_distill --out study/webshop/nano-0.7m-field-opd-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --config field/opd --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-opd-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-opd-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-opd-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-tcod-f2b-0
python -m sad_distill --out study/webshop/nano-0.7m-field-tcod-f2b-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --config field/tcod-f2b --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-tcod-f2b-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-tcod-f2b-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-tcod-f2b-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-tcod-b2f-0
python -m sad_distill --out study/webshop/nano-0.7m-field-tcod-b2f-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --config field/tcod-b2f --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --trajectories study/webshop/teacher.jsonl --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-tcod-b2f-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-tcod-b2f-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-tcod-b2f-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-guided-opd-0
python -m sad_distill --out study/webshop/nano-0.7m-field-guided-opd-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --config field/guided-opd --method policy --mode guided --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-guided-opd-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-guided-opd-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-guided-opd-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-sdar-0
python -m sad_distill --out study/webshop/nano-0.7m-field-sdar-0 --seed 0 --config field/sdar --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-sdar-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-sdar-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-sdar-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-opsd-0
python -m sad_distill --out study/webshop/nano-0.7m-field-opsd-0 --seed 0 --config field/opsd --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-opsd-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-opsd-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-opsd-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-skill-sd-0
python -m sad_distill --out study/webshop/nano-0.7m-field-skill-sd-0 --seed 0 --config field/skill-sd --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-skill-sd-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-skill-sd-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-skill-sd-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-atod-0
python -m sad_distill --out study/webshop/nano-0.7m-field-atod-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --config field/atod --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-atod-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-atod-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-atod-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-grpo-0
python -m sad_distill --out study/webshop/nano-0.7m-field-grpo-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --config field/grpo --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-grpo-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-grpo-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-grpo-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-gigpo-0
python -m sad_distill --out study/webshop/nano-0.7m-field-gigpo-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --config field/gigpo --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-gigpo-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-gigpo-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-gigpo-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-rloo-0
python -m sad_distill --out study/webshop/nano-0.7m-field-rloo-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --config field/rloo --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-rloo-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-rloo-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-rloo-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-rft-0
python -m sad_distill --out study/webshop/nano-0.7m-field-rft-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --config field/rft --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-rft-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-rft-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-rft-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-dagger-0
python -m sad_distill --out study/webshop/nano-0.7m-field-dagger-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --config field/dagger --method sad --mode dagger --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-dagger-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-dagger-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-dagger-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-sad-then-reward-0
python -m sad_distill --out study/webshop/nano-0.7m-field-sad-then-reward-0 --teacher study/webshop/teacher-given/student.pt --seed 0 --config field/sad-then-reward --student study/webshop/nano-0.7m-begin-0/student.pt --trajectories study/webshop/teacher.jsonl --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-sad-then-reward-0
python -m sad_eval --agent study/webshop/nano-0.7m-field-sad-then-reward-0/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-sad-then-reward-0 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-offline-1
python -m sad_distill --out study/webshop/nano-0.7m-sad-offline-1 --teacher study/webshop/teacher-given/student.pt --seed 1 --method sad --mode offline --student study/webshop/nano-0.7m-begin-0/student.pt --trajectories study/webshop/teacher.jsonl --batch 8 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-sad-offline-1
python -m sad_eval --agent study/webshop/nano-0.7m-sad-offline-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-sad-offline-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-sad-online-1
python -m sad_distill --out study/webshop/nano-0.7m-sad-online-1 --teacher study/webshop/teacher-given/student.pt --seed 1 --method sad --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --rollouts 16 --updates 1 --sampling-temperature 0.3 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-sad-online-1
python -m sad_eval --agent study/webshop/nano-0.7m-sad-online-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-sad-online-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-sad-recorded-1
python -m sad_distill --out study/webshop/nano-0.7m-field-sad-recorded-1 --seed 1 --config field/sad-recorded --method sad --mode offline --student study/webshop/nano-0.7m-begin-0/student.pt --precision bf16 --trajectories study/webshop/teacher.jsonl --processor-seconds 200 --env webshop --data generated --split train_shops --context 512
# webshop: evaluate nano-0.7m-field-sad-recorded-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-sad-recorded-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-sad-recorded-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-seqkd-1
python -m sad_distill --out study/webshop/nano-0.7m-seqkd-1 --teacher study/webshop/teacher-given/student.pt --seed 1 --method seqkd --mode offline --student study/webshop/nano-0.7m-begin-0/student.pt --trajectories study/webshop/teacher.jsonl --batch 8 --steps 250 --learning-rate 0.0003 --optimiser muon --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-seqkd-1
python -m sad_eval --agent study/webshop/nano-0.7m-seqkd-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-seqkd-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-opd-1
python -m sad_distill --out study/webshop/nano-0.7m-field-opd-1 --teacher study/webshop/teacher-given/student.pt --seed 1 --config field/opd --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-opd-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-opd-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-opd-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-tcod-f2b-1
python -m sad_distill --out study/webshop/nano-0.7m-field-tcod-f2b-1 --teacher study/webshop/teacher-given/student.pt --seed 1 --config field/tcod-f2b --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-tcod-f2b-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-tcod-f2b-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-tcod-f2b-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-tcod-b2f-1
python -m sad_distill --out study/webshop/nano-0.7m-field-tcod-b2f-1 --teacher study/webshop/teacher-given/student.pt --seed 1 --config field/tcod-b2f --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --trajectories study/webshop/teacher.jsonl --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-tcod-b2f-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-tcod-b2f-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-tcod-b2f-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-guided-opd-1
python -m sad_distill --out study/webshop/nano-0.7m-field-guided-opd-1 --teacher study/webshop/teacher-given/student.pt --seed 1 --config field/guided-opd --method policy --mode guided --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-guided-opd-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-guided-opd-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-guided-opd-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-sdar-1
python -m sad_distill --out study/webshop/nano-0.7m-field-sdar-1 --seed 1 --config field/sdar --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-sdar-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-sdar-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-sdar-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-opsd-1
python -m sad_distill --out study/webshop/nano-0.7m-field-opsd-1 --seed 1 --config field/opsd --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-opsd-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-opsd-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-opsd-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-skill-sd-1
python -m sad_distill --out study/webshop/nano-0.7m-field-skill-sd-1 --seed 1 --config field/skill-sd --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-skill-sd-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-skill-sd-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-skill-sd-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-atod-1
python -m sad_distill --out study/webshop/nano-0.7m-field-atod-1 --teacher study/webshop/teacher-given/student.pt --seed 1 --config field/atod --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-atod-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-atod-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-atod-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-grpo-1
python -m sad_distill --out study/webshop/nano-0.7m-field-grpo-1 --teacher study/webshop/teacher-given/student.pt --seed 1 --config field/grpo --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-grpo-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-grpo-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-grpo-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-gigpo-1
python -m sad_distill --out study/webshop/nano-0.7m-field-gigpo-1 --teacher study/webshop/teacher-given/student.pt --seed 1 --config field/gigpo --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-gigpo-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-gigpo-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-gigpo-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-rloo-1
python -m sad_distill --out study/webshop/nano-0.7m-field-rloo-1 --teacher study/webshop/teacher-given/student.pt --seed 1 --config field/rloo --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-rloo-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-rloo-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-rloo-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-rft-1
python -m sad_distill --out study/webshop/nano-0.7m-field-rft-1 --teacher study/webshop/teacher-given/student.pt --seed 1 --config field/rft --method policy --mode online --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-rft-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-rft-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-rft-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-dagger-1
python -m sad_distill --out study/webshop/nano-0.7m-field-dagger-1 --teacher study/webshop/teacher-given/student.pt --seed 1 --config field/dagger --method sad --mode dagger --student study/webshop/nano-0.7m-begin-0/student.pt --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-dagger-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-dagger-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-dagger-1 --workers 0 --reference study/webshop/eval/teacher --quiet
# webshop: train nano-0.7m-field-sad-then-reward-1
python -m sad_distill --out study/webshop/nano-0.7m-field-sad-then-reward-1 --teacher study/webshop/teacher-given/student.pt --seed 1 --config field/sad-then-reward --student study/webshop/nano-0.7m-begin-0/student.pt --trajectories study/webshop/teacher.jsonl --processor-seconds 200 --env webshop --data generated --split train_shops --context 512 --precision fp32
# webshop: evaluate nano-0.7m-field-sad-then-reward-1
python -m sad_eval --agent study/webshop/nano-0.7m-field-sad-then-reward-1/student.pt --env webshop --data generated --episodes 200 --max-steps 0 --out study/webshop/eval/nano-0.7m-field-sad-then-reward-1 --workers 0 --reference study/webshop/eval/teacher --quiet
