"""Whether a method of the PEFT library keeps the contract: tried out on a small random model, so that no list grows old.

Shapes: N tokens of a packed row, V words.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engrain import registry
from engrain.errors import EngrainError
from engrain.fetch import quiet

if TYPE_CHECKING:
    from torch import Tensor, nn

KEPT = "_peft_model"
"""Where a model keeps the library's handle to what was put into it."""
WIDTH, WORDS = 256, 64
"""Wide enough for the sizes that the library's configurations have by default."""
LENGTHS, PREFIX = (5, 7), 4
CLOSE = 2e-3
"""How far two ways of computing the same logits may lie apart."""
SAME = 1e-5
"""How far the logits of a method that starts at the base may lie from its own."""

IN_WORDS = {
    "poly": "it must be told to which of several tasks every example belongs",
    "shadow": "it runs a second, small model beside the first, which does not see the packed rows of a training step",
    "trainable_tokens": "it trains the embeddings of tokens that would have to be named, and none are usual",
    "xlora": "it only mixes adapters that were trained before",
}
"""Why methods fail that were looked into, for people; whether one fails is always tried out."""


@dataclass(frozen=True)
class Probe:
    """What was found: `reason` says why the method cannot be used (empty where it can), `merges` and `starts_at_base` what it does."""

    reason: str = ""
    merges: bool = False
    starts_at_base: bool = False


class _Broken(Exception):
    """A part of the contract that the method does not keep."""


@cache
def probe(name: str) -> Probe:
    """What the method `name` of the library does with a small random model."""
    import torch

    kind: Any = registry.find("methods", name)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        try:
            return _tried(kind)
        except Exception as error:
            reason = _reason(error)
            return Probe(f"{IN_WORDS[name]} ({reason})" if name in IN_WORDS else reason)


def _reason(error: Exception) -> str:
    """Why a method cannot be used, from what was raised when it was tried."""
    if isinstance(error, _Broken):
        return str(error)
    if isinstance(error, EngrainError):
        return error.message.partition(" like this: ")[2] or error.message
    return f"with its usual settings it fails on a small model ({type(error).__name__}: {' '.join(str(error).split())[:200]})"


def _tried(kind: Any) -> Probe:
    import torch

    method, model = _method(kind), _model()
    untouched = _logits(model)
    method.apply(model)
    trains = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not trains:
        raise _Broken("nothing would train with its usual settings")
    started = _apart(_logits(model), untouched) < SAME
    if _apart(_packed(model), torch.cat([_logits(model, part)[PREFIX:] for part in _parts()])) > CLOSE:
        raise _Broken("it treats a token by its place in the batch, so packed rows come out otherwise than single ones")
    before = {name: t.detach().clone() for name, t in model.state_dict().items()}
    _step(model, list(trains.values()))
    names = {id(t): name for name, t in model.state_dict(keep_vars=True).items()}
    declared = {names.get(id(p), name) for name, p in trains.items()}
    now = model.state_dict()
    moved = {name for name, tensor in before.items() if not torch.equal(now[name], tensor)}
    strangers = sorted(
        name for name in moved if name not in declared and now[name].data_ptr() not in {p.data_ptr() for p in trains.values()}
    )
    if strangers:
        raise _Broken(f"it changes what it does not declare to train: {', '.join(strangers[:3])}")
    if _apart(_logits(model), _logits(_model())) == 0:
        raise _Broken("a step of training changes no answer")
    _saved(kind, method, model)
    _narrow(kind)
    return Probe(merges=_merges(method, model), starts_at_base=started)


def _saved(kind: Any, method: Any, model: nn.Module) -> None:
    """Raise _Broken unless the library, and the method itself, answer as before with what was saved."""
    import torch
    from peft import PeftModel

    wanted = _logits(model)
    with tempfile.TemporaryDirectory() as place:
        method.save(model, Path(place))
        torch.manual_seed(1)
        again = _model()
        _method(kind).apply(again)
        _method(kind).load(again, Path(place))
        if not torch.equal(_logits(again), wanted):
            raise _Broken("a saved result does not answer exactly as before it was saved")
        theirs = PeftModel.from_pretrained(_model(), place).eval()
        with torch.no_grad():
            given = {"task_ids": torch.zeros(1, dtype=torch.long)} if "MULTITASK" in str(theirs.peft_type) else {}
            other = theirs(input_ids=_ids()[None], use_cache=False, **given).logits[0][-len(_ids()) :]
        if _apart(other, wanted) > CLOSE:
            raise _Broken("the library answers otherwise with what was saved")


def _narrow(kind: Any) -> None:
    """Raise _Broken where the method cannot compute in bfloat16."""
    import torch

    model = _model().to(torch.bfloat16)
    _method(kind).apply(model)
    try:
        _step(model, [p for p in model.parameters() if p.requires_grad])
    except RuntimeError as error:
        raise _Broken(f"it cannot compute in bfloat16 ({' '.join(str(error).split())[:120]})") from error


def _merges(method: Any, model: nn.Module) -> bool:
    """Whether merging leaves a plain model that answers as before."""
    wanted = _logits(model)
    try:
        vars(model)[KEPT].merge_and_unload()
    except Exception:
        return False
    return _apart(_logits(model), wanted) < CLOSE and model.state_dict().keys() == _model().state_dict().keys()


def _method(kind: Any) -> Any:
    """The method with its usual settings, made without the check that leads here."""
    made = object.__new__(kind.Settings)
    for f in kind.Settings.__dataclass_fields__.values():
        object.__setattr__(made, f.name, f.default)
    return kind(made)


def _model() -> Any:
    """Always the same two-layer model, frozen."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": WIDTH, "intermediate_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LlamaConfig(vocab_size=WORDS, max_position_embeddings=128, initializer_range=0.06, **sizes)
        return LlamaForCausalLM(config).eval().requires_grad_(False)


def _ids() -> Tensor:
    import torch

    return torch.arange(PREFIX + LENGTHS[0]) * 7 % WORDS


def _parts() -> list[Tensor]:
    """The rows of the packed row, each with the prefix."""
    import torch

    row = torch.arange(PREFIX + sum(LENGTHS)) * 5 % WORDS
    prefix, *own = row.split([PREFIX, *LENGTHS])
    return [torch.cat([prefix, part]) for part in own]


def _logits(model: Any, ids: Tensor | None = None) -> Tensor:
    """The logits (N, V) of one row."""
    import torch

    with torch.no_grad():
        return model.eval()(input_ids=(_ids() if ids is None else ids)[None], use_cache=False).logits[0]


def _packed(model: Any) -> Tensor:
    """The logits of the packed rows without their prefix."""
    import torch

    with torch.no_grad():
        return model.get_output_embeddings()(_hidden(model))


def _hidden(model: Any) -> Tensor:
    import torch

    from engrain.kernels.packed_attention import pack, packed

    parts = _parts()
    row = torch.cat([parts[0][:PREFIX], *(part[PREFIX:] for part in parts)])
    packing = pack(LENGTHS, PREFIX, "cpu")
    with packed(model):
        out = model.base_model(input_ids=row[None], position_ids=packing.positions[None], use_cache=False, packing=packing)
    return out.last_hidden_state[0, PREFIX:]


def _step(model: Any, parameters: list[Any]) -> None:
    """One step of training towards made-up words."""
    import torch

    hidden = _hidden(model.train())
    logits = model.get_output_embeddings()(hidden)
    torch.nn.functional.cross_entropy(logits.float(), torch.arange(len(logits)) % WORDS).backward()
    torch.optim.AdamW(parameters, lr=1e-2).step()
    model.zero_grad()
    model.eval()


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())
