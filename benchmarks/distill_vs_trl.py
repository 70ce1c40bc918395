"""Updates of a distillation: ours against TRL's DistillationTrainer, same models, same rows, one thread.

    python benchmarks/distill_vs_trl.py --trl-python /path/to/venv-with-trl/bin/python
    python benchmarks/distill_vs_trl.py --trl-python python --device cuda --steps 20

Each side runs in a process of its own, in turns, so that neither sees the other's memory. Rows imitate agent episodes:
a header, then steps of reasoning, action and observation; only the agent's tokens are supervised (TRL: `tool_mask`).
Both compute the same forward KL, on a processor in float32, on a GPU in bfloat16 (autocast). Printed: supervised tokens
per second, peak memory, what of that the updates add, the ratios. On a processor seconds are of CPU time and memory is
that of the whole process (imported libraries included, which with small models is most of it); on a GPU seconds are of
the wall and memory is what torch has allocated there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIZES = {
    # vocabulary, student (width, layers), teacher (width, layers)
    "smollm2-vocabulary": (49152, (256, 4), (384, 6)),
    "nano": (2048, (192, 4), (384, 4)),
}
ON_A_GPU = {"smollm2-shape": (49152, (576, 10), (576, 30))}
"""One more there: a student with a third of the layers of a model shaped like SmolLM2-135M."""


def make_rows(vocabulary: int, count: int, length: int, seed: int) -> list[dict[str, Any]]:
    """Ids and labels in the proportions of ALFWorld episodes (25 reasoning, 8 action, 36 observation tokens a step)."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        header = draw.randrange(100, 180)
        labels = "O" * header
        while len(labels) < length - 120:
            labels += "R" * draw.randrange(16, 40) + "A" * draw.randrange(6, 10) + "O" * draw.randrange(10, 80)
        labels = labels.rstrip("O")
        rows.append({"header": header, "labels": labels, "ids": [draw.randrange(1, vocabulary) for _ in labels]})
    return rows


def make_model(vocabulary: int, shape: tuple[int, int], seed: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    width, layers = shape
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=int(2.75 * width),
            num_hidden_layers=layers,
            num_attention_heads=width // 32,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=0,
        )
    )


class Meter:
    """Time and memory of a device.

    Args:
        device: "cpu" or "cuda".
    """

    def __init__(self, device: str) -> None:
        self.cuda = device == "cuda"

    def seconds(self) -> float:
        """A reading of the clock."""
        if not self.cuda:
            return time.process_time()
        import torch

        torch.cuda.synchronize()
        return time.perf_counter()

    def peak_mib(self) -> float:
        """Memory held at most so far."""
        if self.cuda:
            import torch

            return torch.cuda.max_memory_allocated() / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def held_mib(self) -> float:
        """Memory held now."""
        if self.cuda:
            import torch

            return torch.cuda.memory_allocated() / 2**20
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20


def run_ours(work: dict[str, Any]) -> dict[str, float]:
    from sad_distill.config import Optimisation
    from sad_distill.data.rows import Row
    from sad_distill.losses.objective import Objective
    from sad_distill.teachers.local import LocalTeacher
    from sad_distill.training.learner import Learner

    vocabulary, student, teacher = (SIZES | ON_A_GPU)[work["size"]]
    device, meter = work["device"], Meter(work["device"])
    learner = Learner(
        make_model(vocabulary, student, 0).to(device),
        Objective(reduction="token_mean"),
        Optimisation(steps=work["steps"], learning_rate=1e-4, clip=1.0),
        teacher=LocalTeacher(make_model(vocabulary, teacher, 1).to(device), "teacher"),
        micro_batch=work["batch"],
        precision="bf16" if meter.cuda else "fp32",
    )
    rows = [Row(tuple(row["ids"]), row["labels"], ()) for row in work["rows"]]
    loaded = meter.held_mib()
    losses, began = [], 0.0
    for step in range(work["steps"]):
        if step == 1:
            began = meter.seconds()
        losses.append(learner.update(rows, step)["loss"])
    return {"seconds": meter.seconds() - began, "loss": losses[0], "peak": meter.peak_mib(), "loaded": loaded}


def run_trl(work: dict[str, Any]) -> dict[str, float]:
    import torch
    from datasets import Dataset
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from trl import DistillationConfig, DistillationTrainer

    vocabulary, student, teacher = (SIZES | ON_A_GPU)[work["size"]]
    device, meter = work["device"], Meter(work["device"])
    batch = {
        name: value.to(device) if isinstance(value, torch.Tensor) else value
        for name, value in trl_batch(work["rows"]).items()
    }
    marks: list[float] = []

    class FixedRows(DistillationTrainer):  # type: ignore[misc]
        """Gives the rows instead of sampling them; everything after is TRL's."""

        def _prepare_inputs(self, generation_batch: Any) -> Any:
            marks.append(meter.seconds())
            return batch

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"<e>": 0, "a": 1}, unk_token="a")))
    tokenizer.pad_token = tokenizer.eos_token = "<e>"
    tokenizer.padding_side = "left"
    with tempfile.TemporaryDirectory() as folder:
        arguments = DistillationConfig(
            output_dir=folder,
            per_device_train_batch_size=work["batch"],
            max_steps=work["steps"],
            learning_rate=1e-4,
            max_grad_norm=1.0,
            beta=0.0,
            use_cpu=not meter.cuda,
            bf16=meter.cuda,
            fp16=False,
            gradient_checkpointing=False,
            report_to=[],
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
        )
        trainer = FixedRows(
            model=make_model(vocabulary, student, 0).to(device),
            teacher_model=make_model(vocabulary, teacher, 1).to(device),
            args=arguments,
            train_dataset=Dataset.from_dict({"prompt": ["a"] * work["batch"] * work["steps"]}),
            processing_class=tokenizer,
        )
        loaded = meter.held_mib()
        trainer.train()
        seconds = meter.seconds() - marks[1]
        first = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
    assert torch.get_num_threads() == 1
    return {"seconds": seconds, "loss": float(first), "peak": meter.peak_mib(), "loaded": loaded}


def trl_batch(rows: list[dict[str, Any]]) -> Any:
    import torch

    prompt = max(row["header"] for row in rows)
    rest = max(len(row["ids"]) - row["header"] for row in rows)
    names = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "tool_mask")
    widths = (prompt, prompt, rest, rest, rest)
    batch = {name: torch.zeros(len(rows), width, dtype=torch.long) for name, width in zip(names, widths, strict=True)}
    for number, row in enumerate(rows):
        header, ids, labels = row["header"], row["ids"], row["labels"]
        batch["prompt_ids"][number, prompt - header :] = torch.tensor(ids[:header])
        batch["prompt_mask"][number, prompt - header :] = 1
        count = len(ids) - header
        batch["completion_ids"][number, :count] = torch.tensor(ids[header:])
        batch["completion_mask"][number, :count] = 1
        batch["tool_mask"][number, :count] = torch.tensor([int(label in "RA") for label in labels[header:]])
    batch["num_items_in_batch"] = batch["tool_mask"].sum()
    return batch


def side(python: str, name: str, work: dict[str, Any]) -> dict[str, float]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(work, file)
        file.flush()
        command = [python, __file__, "--side", name, "--work", file.name]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        outcome = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if outcome.returncode:
        sys.exit(f"{name} failed:\n{outcome.stderr[-2000:]}")
    result: dict[str, float] = json.loads(outcome.stdout.strip().splitlines()[-1])
    return result


def compare(size: str, python: str, batch: int, length: int, steps: int, rounds: int, device: str) -> None:
    rows = make_rows((SIZES | ON_A_GPU)[size][0], batch, length, 0)
    tokens = sum(label in "RA" for row in rows for label in row["labels"]) * (steps - 1)
    positions = sum(len(row["labels"]) for row in rows)
    work = {"size": size, "rows": rows, "batch": batch, "steps": steps, "device": device}
    best: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for name, interpreter in (("ours", sys.executable), ("trl", python)):
            result = side(interpreter, name, work)
            if name not in best or result["seconds"] < best[name]["seconds"]:
                best[name] = result
    ours, theirs = best["ours"], best["trl"]
    share = tokens / (steps - 1) / positions
    unit, whole = ("second", "on the GPU") if device == "cuda" else ("CPU second", "of the process")
    print(f"\n{size}: {batch} rows of {positions // batch} tokens, {100 * share:.0f} % supervised; best of {rounds}")
    for name, result in best.items():
        rate = tokens / result["seconds"]
        print(
            f"  {name:5} {rate:8.0f} supervised tokens per {unit}   peak {result['peak']:6.0f} MiB"
            f" (before the first update: {result['loaded']:.0f})   first loss {result['loss']:.6f}"
        )
    above = {name: result["peak"] - result["loaded"] for name, result in best.items()}
    print(
        f"  speed ratio {theirs['seconds'] / ours['seconds']:.2f}"
        f"   peak memory {whole} {100 * ours['peak'] / theirs['peak']:.0f} %"
        f"   of that, what the updates add to what was loaded before: {above['ours']:.0f} MiB against"
        f" {above['trl']:.0f} MiB, {100 * above['ours'] / above['trl']:.0f} %"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", default="", help="interpreter of an environment that holds trl")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--length", type=int, default=640)
    parser.add_argument("--steps", type=int, default=5, help="updates; the first is not timed")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sizes", nargs="*", choices=[*SIZES, *ON_A_GPU])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--side", choices=["ours", "trl"], help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        import torch

        torch.set_num_threads(1)
        work = json.loads(Path(given.work).read_text())
        print(json.dumps(run_ours(work) if given.side == "ours" else run_trl(work)))
        return
    if not given.trl_python:
        print("distill_vs_trl: skipped, since --trl-python names no environment with trl in it")
        return
    for size in given.sizes or (SIZES | ON_A_GPU if given.device == "cuda" else SIZES):
        compare(size, given.trl_python, given.batch, given.length, given.steps, given.rounds, given.device)


if __name__ == "__main__":
    main()
