"""vLLM itself for tests: the interpreter that SAD_VLLM_PYTHON names, where `make test-vllm` has installed it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_START_SECONDS = 900


@contextmanager
def real_vllm(folder: Path, *options: str) -> Iterator[str]:
    """The address of a vLLM that serves a folder in float32; skips where there is none to start."""
    python = os.environ.get("SAD_VLLM_PYTHON", "")
    if not python:
        pytest.skip("SAD_VLLM_PYTHON names no interpreter with vllm: make test-vllm")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # --enforce-eager: nothing is compiled, which takes longer here than all that is asked.
    words = ["--port", str(port), "--host", "127.0.0.1", "--dtype", "float32", "--enforce-eager"]
    command = [python, "-m", "vllm.entrypoints.cli.main", "serve", str(folder), *words, *options]
    settings = {
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", tempfile.gettempdir()),
    }
    with tempfile.TemporaryFile() as log:
        # A group of its own: workers are ended with it.
        server = subprocess.Popen(command, env=settings, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait(server, f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}"
        except BaseException:
            log.seek(0)
            print(log.read()[-4000:].decode("utf-8", "replace"))
            raise
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)


def _wait(server: subprocess.Popen[bytes], address: str) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            raise RuntimeError(f"vLLM ended with {server.returncode}")
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(1)
        else:
            return
    raise RuntimeError("vLLM did not start in time")
