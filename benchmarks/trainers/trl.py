"""TRL's SFTTrainer with PEFT, gradient checkpointing off (its default costs a third more)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.trainers._trainer import arguments, counting, told
from benchmarks.trainers.base import Job

if TYPE_CHECKING:
    from benchmarks.turns import Turns

REQUIREMENTS = ("trl==1.16.0", "peft==0.21.2", "transformers==5.24.0", "datasets==5.2.0", "accelerate==1.15.0", "torch==2.13.0")
VARIANTS = (("lora", "bfloat16"), ("lora", "float32"), ("full", "bfloat16"), ("full", "float32"))


def train(job: Job, turns: Turns, **more: Any) -> None:
    """The steps; `more` goes to SFTConfig."""
    import torch
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(job.model, dtype=getattr(torch, job.precision)).to(job.device)
    callback = told(turns)
    adapter = LoraConfig(r=job.rank, lora_alpha=2 * job.rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = counting(SFTTrainer, callback)(
        model=model,
        args=SFTConfig(**arguments(job), max_length=job.max_length, gradient_checkpointing=False, **more),
        train_dataset=load_dataset("json", data_files=job.tokens, split="train", cache_dir=f"{job.scratch}/datasets"),
        processing_class=AutoTokenizer.from_pretrained(job.model),
        callbacks=[callback],
        peft_config=adapter if job.method == "lora" else None,
    )
    trainer.train()
