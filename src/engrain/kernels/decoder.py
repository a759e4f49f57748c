"""Writing token by token in one call of C a step (`decoder.c`), for models of Llama's kind in bf16 on a processor with a matrix unit.

A model is of that kind by its parts, and by what both ways make of a few tokens; every other one computes its steps itself.

Shapes: B rows, D model width, H heads, K heads of keys and values, W head width, F width of the MLP, R keys with their room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from engrain.kernels import native
from engrain.kernels.gated import is_gated
from engrain.kernels.linear import packable
from engrain.kernels.matmul import UNIT, packed, packed_product, ready
from engrain.kernels.plain_attention import MOST_KEYS, MOST_WIDTH, RoomyLayer, plain, roomy_cache
from engrain.kernels.rms_norm import is_rms_norm
from engrain.models import decoder_layers

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel

MOST_PACKED = 2**30
"""Bytes of weights up to which packed copies of all are held beside them."""
CLOSE = 0.03
"""How far apart both ways may lie, as a share of their size."""
ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
LAYER = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}


@dataclass(eq=False)
class Decoder:
    """A model's weights as `decoder.c` takes them; not the model, which would never be let go."""

    layers: list[list[Tensor | None]]
    norm: Tensor
    head: Tensor
    heads: int
    kv_heads: int
    width: int
    inner: int
    epsilon: float
    scale: float

    def can(self, cache: Cache) -> bool:
        """Whether a step goes on from these keys and values."""
        own = all(type(layer) is RoomyLayer and layer.is_initialized for layer in cache.layers)
        return own and cache.get_seq_length() < MOST_KEYS

    def step(self, model: PreTrainedModel, ids_B: Tensor, positions_B1: Tensor, seen_BT: Tensor, cache: Cache) -> Tensor:
        """The logits (B, V) after one token more of every row; `seen_BT` says which tokens each row sees, the new one among them."""
        x_BD = model.get_input_embeddings()(ids_B)
        rows, place, kind = len(ids_B), cache.get_seq_length(), x_BD.dtype
        token = x_BD.new_empty(1).expand(rows, self.kv_heads, 1, self.width)
        for layer in cache.layers:
            layer.grow(token, token)
        room = cache.layers[0].keys.shape[2]
        seen_BR = torch.zeros(rows, room, dtype=torch.uint8)
        seen_BR[:, : place + 1] = seen_BT
        cos, sin = (part.expand(rows, 1, -1).contiguous() for part in model.base_model.rotary_emb(x_BD, positions_B1))
        pairs = zip(self.layers, cache.layers, strict=True)
        pointers = [[0 if t is None else t.data_ptr() for t in (*parts, layer.keys, layer.values)] for parts, layer in pairs]
        columns = (self.heads + 2 * self.kv_heads) * self.width
        scratch = x_BD.new_empty(rows * (2 * x_BD.shape[1] + columns + self.heads * self.width + 3 * self.inner))
        sizes = (rows, x_BD.shape[1], self.heads, self.kv_heads, self.width, self.inner, place, room)
        table = torch.tensor(pointers)
        native.call("decode", kind, table, len(pointers), x_BD, self.norm, cos, sin, seen_BR, scratch, *sizes, self.epsilon, self.scale)
        return packed_product(x_BD, self.head)


_known: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()


def decoder(model: PreTrainedModel) -> Decoder | None:
    """The model's Decoder, made anew when a weight has changed; None for a model of another kind."""
    state = [(p.data_ptr(), 0 if p.is_inference() else p._version) for p in model.parameters()]
    if model not in _known or _known[model][0] != state:
        _known[model] = state, _checked(model)
    found: Decoder | None = _known[model][1]
    return found


def _checked(model: PreTrainedModel) -> Decoder | None:
    made = _made(model) if ready() and _is_of_kind(model) else None
    return made if made is not None and _agrees(made, model) else None


def _is_of_kind(model: PreTrainedModel) -> bool:
    base: Any = getattr(model, "base_model", None)
    head: Any = model.get_output_embeddings() if base is not None else None
    weights = list(model.parameters())
    named = (
        type(head) is nn.Linear and head.bias is None and hasattr(base, "rotary_emb") and is_rms_norm(getattr(base, "norm", nn.Identity()))
    )
    if not named or not packable(head) or _has_windows(model.config.get_text_config()):
        return False
    narrow = all(p.dtype == torch.bfloat16 and p.device.type == "cpu" for p in weights) and sum(p.nbytes for p in weights) <= MOST_PACKED
    return narrow and all(map(_is_layer, decoder_layers(model)))


def _has_windows(config: Any) -> bool:
    """Whether some layers see the last tokens only, which a short trial would not show."""
    kinds = getattr(config, "layer_types", None)
    return any(kind != "full_attention" for kind in kinds) if kinds else getattr(config, "sliding_window", None) is not None


def _is_layer(layer: Any) -> bool:
    named = _names(layer) == LAYER and _names(layer.self_attn) == ATTENTION
    if not named or not is_gated(layer.mlp) or not getattr(layer.self_attn, "use_rope", True):
        return False
    width = getattr(layer.self_attn, "head_dim", 0)
    linears = [*layer.self_attn.children(), layer.mlp.gate_proj, layer.mlp.up_proj, layer.mlp.down_proj]
    packed_ones = 0 < width <= MOST_WIDTH and width % UNIT == 0 and all(type(one) is nn.Linear and packable(one) for one in linears)
    return packed_ones and is_rms_norm(layer.input_layernorm) and is_rms_norm(layer.post_attention_layernorm)


def _names(module: nn.Module) -> set[str]:
    return {name for name, _ in module.named_children()}


def _made(model: PreTrainedModel) -> Decoder:
    first = decoder_layers(model)[0]
    width: int = first.self_attn.head_dim
    counts = (len(first.self_attn.q_proj.weight) // width, len(first.self_attn.k_proj.weight) // width)
    norm, layers = model.base_model.norm, [_parts(layer) for layer in decoder_layers(model)]
    head, inner = packed(model.get_output_embeddings().weight.detach()), len(first.mlp.up_proj.weight)
    return Decoder(layers, norm.weight.detach(), head, *counts, width, inner, norm.variance_epsilon, first.self_attn.scaling)


def _parts(layer: Any) -> list[Tensor | None]:
    """In the order of decoder.c's `layer`."""
    attention, mlp = layer.self_attn, layer.mlp
    return [
        layer.input_layernorm.weight.detach(),
        *_joined([attention.q_proj, attention.k_proj, attention.v_proj]),
        *_joined([attention.o_proj]),
        layer.post_attention_layernorm.weight.detach(),
        *_joined([mlp.gate_proj, mlp.up_proj]),
        *_joined([mlp.down_proj]),
    ]


def _joined(linears: Sequence[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    """The packed weights and the biases of layers that read the same."""
    biases = [linear.bias.detach() for linear in linears if linear.bias is not None]
    return torch.cat([packed(linear.weight.detach()) for linear in linears]), torch.cat(biases) if len(biases) == len(linears) else None


def _agrees(made: Decoder, model: PreTrainedModel) -> bool:
    """Whether it computes what the model computes: one token after three rows of some, the shorter ones padded on the left."""
    size = model.config.get_text_config().vocab_size
    ids = torch.arange(39).reshape(3, 13) * 7 % size
    mask = torch.ones_like(ids)
    mask[1, :5] = 0
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.inference_mode(), plain(model):
        logits = []
        for own in (True, False):
            cache = roomy_cache(model)
            if cache is None:
                return False
            model(input_ids=ids[:, :-1], attention_mask=mask[:, :-1], position_ids=positions[:, :-1], cache=cache, use_cache=True)
            if own:
                logits.append(made.step(model, ids[:, -1], positions[:, -1:], mask, cache).float())
            else:
                out = model(input_ids=ids[:, -1:], attention_mask=mask, position_ids=positions[:, -1:], cache=cache, use_cache=True)
                logits.append(out.logits[:, -1].float())
    return float((logits[0] - logits[1]).norm()) <= CLOSE * float(logits[1].norm())
