"""What the peers that stand on transformers' Trainer share: a callback that tells each step."""

from __future__ import annotations

from typing import Any

from benchmarks.turns import Turns


def told(turns: Turns) -> Any:
    """A callback that measures each optimizer step and tells it with its loss; the library logs every step."""
    from transformers import TrainerCallback

    class Told(TrainerCallback):
        tokens = 0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            turns.start()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            turns.stop()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if logs and "loss" in logs:
                turns.tell(loss=float(logs["loss"]), tokens=self.tokens)

    return Told()


def counting(trainer: type, callback: Any) -> type:
    """The trainer class, its examples in the order of the file, and the callback told how many tokens a step has."""
    from torch.utils.data import SequentialSampler

    class InOrder(trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
            return SequentialSampler(self.train_dataset)

        def training_step(self, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            mask = inputs.get("attention_mask")
            callback.tokens = int(mask.sum()) if mask is not None else inputs["input_ids"].numel()
            return super().training_step(model, inputs, *rest, **named)

    return InOrder


def arguments(job: Any) -> dict[str, Any]:
    """The training arguments that say the job."""
    return {
        "output_dir": f"{job.scratch}/out",
        "per_device_train_batch_size": job.batch_size,
        "gradient_accumulation_steps": 1,
        "num_train_epochs": job.passes,
        "max_steps": job.steps,
        "learning_rate": job.learning_rate,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "bf16": job.precision == "bfloat16",
        "use_cpu": job.device == "cpu",
        "seed": 0,
    }
