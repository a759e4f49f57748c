"""One trainer as a process: `python -m benchmarks.trainers NAME JOB`, a row on standard output for each step."""

from __future__ import annotations

import importlib
import json
import os
import sys

from benchmarks.trainers.base import Job
from benchmarks.turns import Turns


def main(name: str, job: str) -> None:
    """Train as the job (JSON) says."""
    asked = Job(**json.loads(job))
    os.environ["HF_HUB_OFFLINE"] = "1"
    importlib.import_module(f"benchmarks.trainers.{name}").train(asked, Turns(asked.waits))


if __name__ == "__main__":
    main(*sys.argv[1:])
