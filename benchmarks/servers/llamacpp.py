"""llama.cpp's server, with the same weights in the same format: a GGUF file in bf16 that engrain's export wrote.

The program is the `llama-server` on the path, or that in LLAMA_SERVER; one that was compiled on the machine itself
(`cmake -DGGML_NATIVE=ON`) uses all that its processor can do.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from benchmarks.environments import Unavailable, cache
from benchmarks.measuring import BASE, Options

TITLE = "llama.cpp"
PROGRAM = "llama-server"
CONTEXT = 512
"""Tokens for each client; the questions and answers of the load have fewer than 150."""


def command(port: int, clients: int, options: Options) -> list[str]:
    """`llama-server` with a slot for each client."""
    program = shutil.which(os.environ.get("LLAMA_SERVER", PROGRAM))
    if program is None:
        raise Unavailable(f"there is no {PROGRAM} on the path; compile llama.cpp and name its program in LLAMA_SERVER")
    slots = ["--parallel", str(clients), "--ctx-size", str(clients * CONTEXT)]
    where = ["--host", "127.0.0.1", "--port", str(port), "--api-key", os.environ["ENGRAIN_API_KEY"]]
    threads = ["--threads", str(options.threads), "--threads-batch", str(options.threads)]
    return [program, "--model", str(_weights()), *slots, *where, *threads]


def _weights() -> Path:
    """The base model as GGUF, written the first time."""
    import torch

    from engrain.export._gguf import write_gguf
    from engrain.models import load_model, load_tokenizer, locate
    from engrain.progress import SILENT

    file = cache() / f"{BASE}-bf16.gguf"
    if not file.is_file():
        base, partial = locate(BASE), file.with_suffix(".partial")
        file.parent.mkdir(parents=True, exist_ok=True)
        model = load_model(base, dtype=torch.bfloat16, device="cpu")
        write_gguf(model, load_tokenizer(base), partial, BASE, "bf16", SILENT)
        partial.replace(file)
    return file
