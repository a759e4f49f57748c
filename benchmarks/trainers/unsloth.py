"""Unsloth: its patched model under TRL's SFTTrainer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.trainers._trainer import arguments, counting, told
from benchmarks.trainers.base import Job

if TYPE_CHECKING:
    from benchmarks.turns import Turns

REQUIREMENTS = ("unsloth==2026.10.9", "torch==2.13.0")
VARIANTS = (("lora", "bfloat16"), ("full", "bfloat16"))
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def train(job: Job, turns: Turns) -> None:
    """The steps."""
    from unsloth import FastLanguageModel  # isort: skip - it patches what is imported after it

    import torch
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    torch.manual_seed(0)
    model, tokenizer = FastLanguageModel.from_pretrained(
        job.model,
        max_seq_length=job.max_length,
        dtype=getattr(torch, job.precision),
        load_in_4bit=False,
        full_finetuning=job.method == "full",
    )
    if job.method == "lora":
        size = {"r": job.rank, "lora_alpha": 2 * job.rank, "lora_dropout": 0, "bias": "none", "target_modules": TARGETS}
        model = FastLanguageModel.get_peft_model(model, **size, use_gradient_checkpointing=False)
    callback = told(turns)
    trainer = counting(SFTTrainer, callback)(
        model=model,
        args=SFTConfig(**arguments(job), max_length=job.max_length, gradient_checkpointing=False),
        train_dataset=load_dataset("json", data_files=job.tokens, split="train", cache_dir=f"{job.scratch}/datasets"),
        processing_class=tokenizer,
        callbacks=[callback],
    )
    trainer.train()
