"""Engrain's own server, with its defaults."""

from __future__ import annotations

import sys

from benchmarks.measuring import Options

TITLE = "engrain"


def command(port: int, clients: int, options: Options) -> list[str]:
    """`engrain serve`; only the limit of requests a minute gives way, which is there against clients such as these."""
    return [sys.executable, "-m", "engrain", "serve", "--port", str(port), "--requests-per-minute", "1000000"]
