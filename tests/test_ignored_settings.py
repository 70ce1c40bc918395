"""A setting that a command does not use, as the others are, is refused in one line and code 2."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("module", "words", "message"),
    [
        ("sad_env.data_command", "list --seed 1", "--seed 1 has no effect: list does not use it"),
        ("sad_env.data_command", "verify alfworld --count 5", "--count 5 has no effect: verify does not use it"),
        ("sad_env.data_command", "generate webshop --source x", "--source x has no effect: generate does not use it"),
        ("sad_agents.collect_command", "--env toy --out x --agent random --top-p 0.5", "--top-p 0.5 has no effect"),
        (
            "sad_agents.collect_command",
            "--env toy --out x --votes 3",
            "--votes 3 has no effect: agent 'expert' is no model",
        ),
        (
            "sad_agents.collect_command",
            "--env toy --out x --agent scripted:x --record-logprobs",
            "only a model in this process",
        ),
        (
            "sad_agents.collect_command",
            "--env toy --out x --agent openai:http://x#m --record-top-logprobs 8",
            "only a model in this process",
        ),
        ("sad_eval.commands.evaluate", "--env toy --agent null --shots 1", "--shots 1 has no effect: agent 'null'"),
        ("sad_eval.commands.evaluate", "--env toy --agent oracle --context 9", "--context 9 has no effect"),
        ("sad_eval.commands.evaluate", "robustness --env toy --agent expert --prompt x", "--prompt x has no effect"),
        (
            "sad_eval.commands.evaluate",
            "--env toy --agent nano --api chat",
            "--api chat has no effect: agent 'nano' is no s",
        ),
        (
            "sad_agents.collect_command",
            "--env toy --out x --agent a.pt --request top_k=1",
            "has no effect: agent 'a.pt' is no served",
        ),
        ("sad_eval.commands.evaluate", "--env toy --agent nano --omit seed", "has no effect: agent 'nano' is no s"),
        ("sad_eval.commands.evaluate", "--env toy --agent . --request a=1", "has no effect: agent '.' is no served"),
        ("sad_eval.commands.evaluate", "--env toy --agent vllm:http://x --api chat", "is asked by ids: leave it out"),
        ("sad_eval.commands.play", "runs/x --panel test", "--panel test has no effect: it is for a world"),
        ("sad_eval.commands.play", "--env toy --plain", "--plain has no effect: it is for a recorded run"),
        ("sad_eval.commands.play", "--env webshop --port 1", "--port 1 has no effect: it is the port of --serve"),
        ("sad_eval.commands.evaluate", "report runs/x --episodes 3", "--episodes 3 has no effect: only the HTML page"),
        (
            "sad_leaderboard.command",
            "verify --data x",
            "--data x has no effect: --level recomputed plays nothing again",
        ),
        ("sad_leaderboard.command", "verify --agent x --level replayed", "--agent x has no effect: --level replayed"),
        ("sad_leaderboard.command", "build --data x", "--data x has no effect: --level recomputed"),
        *(
            ("sad_distill.commands.main", f"--out x {words}", message)
            for words, message in (
                (
                    "--method sft --mode offline --act-weight 2",
                    "--act-weight 2.0 has no effect: it needs --method sad, not sft",
                ),
                (
                    "--method seqkd --mode offline --divergence js",
                    "--divergence js has no effect: it needs --method sad or word_kd or",
                ),
                (
                    "--method token_flat --reduction paper_sum",
                    "--reduction paper_sum has no effect: it needs --method sad, not",
                ),
                (
                    "--method word_kd --mode offline --masks none",
                    "--masks none has no effect: it needs --method sad, not word_kd",
                ),
                (
                    "--method token_flat --learned-weights",
                    "--learned-weights has no effect: it needs --method sad, not",
                ),
                ("--method token_flat --project", "--project has no effect: it needs --method sad, not token_flat"),
                (
                    "--method minillm --divergence js",
                    "--divergence js has no effect: it needs --method sad or word_kd or",
                ),
                (
                    "--method minillm --observation-weight 1",
                    "--observation-weight 1.0 has no effect: it needs --method sad",
                ),
                ("--beta 0.1", "--beta 0.1 has no effect: it needs --divergence js or skew_forward or"),
                (
                    "--action-support full --outside ignore",
                    "--outside ignore has no effect: it needs --action-support static or trie",
                ),
                (
                    "--mode offline --terms align_ot=1 --reduction token_mean",
                    "token_mean has no effect: an alignment is",
                ),
                ("--mode offline --terms align_ot=1 --learned-weights", "--learned-weights has no effect: an align"),
                ("--curriculum-act 2", "--curriculum-act 2.0 has no effect: it needs --curriculum sample or sort"),
                ("--mode offline --curriculum sort --curriculum-strength 2", "--curriculum-strength 2.0 has no effect"),
                ("--mode offline --rollouts 3", "--rollouts 3 has no effect: it needs --mode online or mixed or"),
                ("--online-share 0.1", "--online-share 0.1 has no effect: it needs --mode mixed, not online"),
                ("--guidance 0.1", "--guidance 0.1 has no effect: it needs --mode guided, not online"),
                ("--batch 4", "--batch 4 has no effect: it needs --mode offline, elsewhere"),
                ("--teacher x.pt --horizon-every 4", "--horizon-every 4 has no effect: it needs --horizon-start"),
                ("--teacher expert --top 4", "--top 4 has no effect: it needs a --teacher that scores"),
                ("--temperature 2", "--temperature is no setting of sad-distill any more: give --kd-temperature"),
            )
        ),
    ],
)
def test_settings_without_effect_are_refused(
    module: str,
    words: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert importlib.import_module(module).main(words.split()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
