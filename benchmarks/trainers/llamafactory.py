"""LLaMA-Factory, gradient checkpointing off."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from benchmarks.trainers._trainer import arguments, counting, told
from benchmarks.trainers.base import Job

if TYPE_CHECKING:
    from benchmarks.turns import Turns

REQUIREMENTS = ("llamafactory==0.9.5", "torch==2.13.0")
UNNEEDED = ("torchaudio",)
"""It does not load beside a CPU build of torch; `without_audio` stands in for it."""
VARIANTS = (("lora", "bfloat16"), ("full", "bfloat16"))


def train(job: Job, turns: Turns) -> None:
    """The steps, on rows that are tokens already (`tokenized_path`)."""
    without_audio()
    from llamafactory.train.sft import workflow
    from llamafactory.train.tuner import run_exp

    callback = told(turns)
    workflow.CustomSeq2SeqTrainer = counting(workflow.CustomSeq2SeqTrainer, callback)
    tuning = {"lora_rank": job.rank, "lora_alpha": 2 * job.rank, "lora_dropout": 0.0, "lora_target": "all"} if job.method == "lora" else {}
    run_exp(
        {
            **arguments(job),
            **tuning,
            "model_name_or_path": job.model,
            "stage": "sft",
            "do_train": True,
            "finetuning_type": job.method,
            "template": "empty",
            "dataset": "tokenized",  # a name is asked for, and never looked up
            "tokenized_path": str(tokenized(job)),
            "cutoff_len": job.max_length,
            "disable_shuffling": True,
            "disable_gradient_checkpointing": True,
        },
        callbacks=[callback],
    )


def without_audio() -> None:
    """Put an empty module in the place of the library for sound, which is imported even where only text is trained on."""
    stub = ModuleType("torchaudio")
    stub.__spec__ = ModuleSpec("torchaudio", None)
    sys.modules.setdefault("torchaudio", stub)


def tokenized(job: Job) -> Path:
    """The rows in the form in which LLaMA-Factory keeps tokens."""
    from datasets import Dataset, DatasetDict

    from benchmarks.workload import read_rows

    folder = Path(job.scratch) / "tokenized"
    rows = [{**row, "attention_mask": [1] * len(row["input_ids"]), "images": None, "videos": None} for row in read_rows(job.tokens)]
    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(folder)
    return folder
