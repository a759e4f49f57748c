"""What the training tests share: random conversations, small models of many architectures, and one whole training run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel

    from engrain.train import Trained

VOCABULARY = 97
UNUSUAL: dict[str, dict[str, Any]] = {
    "granite": {"logits_scaling": 8.0},
    "deepseek_v3": {
        "num_key_value_heads": 4, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8, "n_group": 1,
        "topk_group": 1, "kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 12,
    },
    "cohere2": {"head_dim": 8, "logit_scale": 0.25, "sliding_window": 7},
    "gpt_oss": {
        "head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 7,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    },
}  # fmt: skip
"""Small models with scaled logits, values of another width than keys, and attention sinks."""
SIZES = {"rank": 8}
"""Settings that fit these models where a test names no others."""


def examples(count: int, *, shared: int = 10, seed: int = 0, longest: int = 14) -> list[Any]:
    """Encoded conversations that begin with `shared` equal tokens and are supervised on a part of what follows."""
    from engrain.tokens import Encoded

    random = np.random.default_rng(seed)
    prefix = random.integers(3, VOCABULARY, shared)
    made = []
    for _ in range(count):
        own = random.integers(3, VOCABULARY, random.integers(4, longest + 1))
        supervised = np.zeros(shared + len(own), dtype=bool)
        supervised[shared + 2 :] = random.random(len(own) - 2) < 0.7
        supervised[-1] = True
        made.append(Encoded(np.concatenate([prefix, own]).astype(np.int32), supervised))
    return made


def small_model(kind: str = "llama", seed: int = 0, **changes: Any) -> PreTrainedModel:
    """A two-layer model of an architecture that transformers knows, with random weights, frozen as a loaded base is."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.set_num_threads(1)  # products this small spend their time waiting for a second thread
    sizes = {
        "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 128, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
        "initializer_range": 0.2, "attention_dropout": 0.0,
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**sizes, **changes}), dtype=torch.float32)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 1:  # norms and biases start as ones and zeros: a fault in them would not be seen
                    parameter += 0.2 * torch.randn_like(parameter)
    return model.eval().requires_grad_(False)


def method(name: str, **values: Any) -> Any:
    from engrain import registry

    found: Any = registry.find("methods", name)
    if name not in registry.own("methods"):
        return found(found.Settings(**values))
    declared = {f.name for f in fields(found.Settings)}
    return found(found.Settings(**{name: value for name, value in SIZES.items() if name in declared} | values))


def sha256_of_weights(model: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def train_run(path: Path, name: str, method_values: dict[str, Any], settings: dict[str, Any], data: Sequence[int] = (24, 6)) -> Trained:
    """Train (or go on training) a small model in the run folder at `path`; `weights.txt` gets the sha256 of the outcome."""
    import torch

    from engrain.run import Run
    from engrain.tasks.chat import Chat
    from engrain.train import TrainingSettings, train

    model, chosen = small_model(), method(name, **method_values)
    torch.manual_seed(0)
    run = Run.open(path) if path.exists() else Run.create(path, "test")
    chosen.apply(model)
    task = Chat(examples(data[0]), examples(data[1], seed=1))
    with run.lock():
        trained = train(model, chosen, task, TrainingSettings(**settings), run, torch.float32)
        if chosen.merges:
            chosen.merge(model)
        (path / "weights.txt").write_text(sha256_of_weights(model))
    return trained


def train_in_child(path: Path, *arguments: Any) -> None:
    """`train_run` as the main function of a process, with the exit codes of the command line."""
    import sys

    from engrain.errors import EngrainError

    try:
        train_run(path, *arguments)
    except EngrainError as error:
        sys.exit(error.exit_code)


@contextmanager
def keeping() -> Iterator[list[Tensor]]:
    """Inside, what is kept for the way back is listed, each storage once; what is made again there is not kept."""
    import torch

    from engrain.kernels import made_again

    usual, found, kept = made_again._kept, list[torch.Tensor](), set[int]()

    def note(saved: Tensor) -> Any:
        held = usual(saved)
        if isinstance(held, torch.Tensor) and (place := held.untyped_storage().data_ptr()) not in kept:
            kept.add(place)
            found.append(held)
        return held

    with patch.object(made_again, "_kept", note), torch.autograd.graph.saved_tensors_hooks(note, made_again._given):
        yield found


def trainable(model: Any) -> dict[str, Any]:
    """Name → parameter for all that trains."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def logits(model: Any) -> Tensor:
    """What the model makes of one fixed row of tokens."""
    import torch

    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(3, 23)[None] % VOCABULARY, use_cache=False).logits


def train_steps(model: Any, chosen: Any, steps: int, dtype: torch.dtype | None = None, task: Any = None) -> list[float]:
    """The losses of some steps on one repeated batch, or on all rows of a `task`."""
    import torch

    from engrain.optimize import Masters
    from engrain.tasks.chat import Chat

    masters, task = Masters(model, dtype or torch.float32, chosen.keeps_float32, chosen.narrow(model)), task or Chat(examples(6))
    names, groups = {id(p): name for name, p in model.named_parameters()}, chosen.parameter_groups(model)
    for group in groups:
        group["params"] = [masters.values[names[id(p)]] for p in group["params"]]
    optimizer = chosen.optimizer(groups, 3e-3, 0.0)
    losses = []
    for step in range(steps):
        chosen.before_step(model, step)
        loss = task.loss(model.train(), task.train)
        (loss.total / loss.count).backward()
        penalty = chosen.penalty(model)
        if penalty is not None:
            penalty.backward()
        masters.widen()
        for group in optimizer.param_groups:
            group["lr"], group["done"] = 3e-3 * group.get("scale", 1.0), step / steps
        optimizer.step()
        optimizer.zero_grad()
        masters.publish()
        losses.append(loss.total.item() / loss.count)
    masters.release()
    return losses
