"""Reading and writing tokens in one call of C a pass (`decoder.c`), for models of Llama's kind in bf16 on a processor that `matmul` serves.

A model is of that kind by its parts, and by what both ways make of a few tokens; every other one computes its passes itself.

Shapes: N tokens of a pass, B rows, V words, D model width, H heads, K heads of keys and values, W head width, F width of the MLP, R keys
with their room, S slots with keys and values of their own, I and O widths of a linear layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engrain.kernels import native
from engrain.kernels.gated import is_gated
from engrain.kernels.linear import packable
from engrain.kernels.matmul import UNIT, packed, packed_product, ready
from engrain.kernels.plain_attention import MOST_KEYS, MOST_WIDTH, RoomyLayer, plain, roomy_cache
from engrain.kernels.rms_norm import is_rms_norm
from engrain.models import decoder_layers

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel

AT_ONCE = 1024
"""Tokens of a pass, of which each takes some kilobytes while it lasts."""
MOST_PACKED = 2**30
"""Bytes of weights up to which packed copies of all are held beside them."""
CLOSE = 0.03
"""How far apart both ways may lie, as a share of their size."""
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
LINEARS = (*(f"self_attn.{name}" for name in ATTENTION), "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
"""As decoder.c numbers the linear layers of a layer."""
HEAD = -1
LAYER = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}


Pair = tuple[Tensor, Tensor]


@dataclass(eq=False)
class Update:
    """What an adapter adds: for each linear layer where its packed A and B lie, and their rank (`table`); the `head`'s lie apart.

    `held` keeps what the table points to.
    """

    table: Tensor
    held: list[Pair]
    rank: int
    head: Pair | None


@dataclass(frozen=True)
class Group:
    """Tokens from `first` to before `last` that an adapter's update is added for."""

    first: int
    last: int
    update: Update


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
    names: dict[str, int]
    """The number of each linear layer by its name; the head's is -1."""

    def can(self, cache: Cache, tokens: int) -> bool:
        """Whether so many tokens more of every row go on from these keys and values."""
        return all(type(layer) is RoomyLayer for layer in cache.layers) and cache.get_seq_length() + tokens <= MOST_KEYS

    def read(self, model: PreTrainedModel, ids_BT: Tensor, positions_BT: Tensor, seen_BA: Tensor, cache: Cache) -> Tensor:
        """The logits (B, V) after T tokens more of every row.

        `seen_BA` says which of all A tokens each row has, the new ones last; the others are left out, and the last is none of them.
        """
        rows, count = ids_BT.shape
        before = cache.get_seq_length()
        new = self.norm.new_empty(1).expand(rows, self.kv_heads, count, self.width)
        for layer in cache.layers:
            layer.grow(new, new)
        pairs, seen = [(layer.keys, layer.values) for layer in cache.layers], seen_BA.to(torch.uint8).contiguous()
        there_BT = seen_BA[:, before:] > 0
        slots_N, at_N = there_BT.nonzero().unbind(1)
        parts = zip(*(part.split(AT_ONCE) for part in (ids_BT[there_BT], positions_BT[there_BT], slots_N, before + at_N)), strict=True)
        x_ND = torch.cat([self.states(model, ids, turns, slots, places, seen, pairs) for ids, turns, slots, places in parts])
        return packed_product(x_ND[at_N == count - 1], self.head)

    def states(
        self,
        model: PreTrainedModel,
        ids_N: Tensor,
        positions_N: Tensor,
        slots_N: Tensor,
        places_N: Tensor,
        seen_ST: Tensor,
        pairs: Sequence[Pair],
        groups: Sequence[Group] = (),
    ) -> Tensor:
        """The last norm's output (N, D) of tokens that are put at these places of these slots, below MOST_KEYS.

        A token sees what `seen_ST` (uint8; one row for all slots, or one each) says of its slot up to its own place. `pairs` are each
        layer's keys and values (S, K, R, W). A token's numbers are the same alone and beside others. Raises IndexError beyond R or
        MOST_KEYS.
        """
        x_ND = model.get_input_embeddings()(ids_N)
        count, room = len(x_ND), pairs[0][0].shape[2]
        if (last := int(places_N.max())) >= min(room, MOST_KEYS):
            raise IndexError(f"place {last} of a slot that holds {min(room, MOST_KEYS)} tokens")
        cos, sin = (part[0].contiguous() for part in model.base_model.rotary_emb(x_ND, positions_N[None]))
        made = [[0 if t is None else t.data_ptr() for t in (*parts, *pair)] for parts, pair in zip(self.layers, pairs, strict=True)]
        table, grouped = torch.tensor(made), torch.tensor([[g.first, g.last, g.update.table.data_ptr()] for g in groups])
        columns, rank = (self.heads + 2 * self.kv_heads) * self.width, max((g.update.rank for g in groups), default=0)
        scratch = x_ND.new_empty(count * (2 * x_ND.shape[1] + columns + self.heads * self.width + 3 * self.inner + rank))
        where = (cos, sin, slots_N, places_N, seen_ST, seen_ST.stride(0) if len(seen_ST) > 1 else 0, grouped, len(groups), scratch)
        sizes = (count, x_ND.shape[1], self.heads, self.kv_heads, self.width, self.inner, room)
        native.call("decode", x_ND.dtype, table, len(made), x_ND, self.norm, *where, *sizes, self.epsilon, self.scale)
        return x_ND

    def logits(self, x_ND: Tensor, groups: Sequence[Group] = ()) -> Tensor:
        """The logits (N, V) of such outputs."""
        y_NV = packed_product(x_ND, self.head)
        for group in groups:
            if group.update.head:
                own, (a, b) = slice(group.first, group.last), group.update.head
                y_NV[own] += packed_product(packed_product(x_ND[own], a), b)
        return y_NV

    def update(self, pairs: Mapping[str, Pair]) -> Update:
        """An adapter's A (rank, I) and B (O, rank) by the names of their linear layers, packed."""
        table = torch.zeros(len(self.layers) * len(LINEARS), 3, dtype=torch.long)
        held = {self.names[name]: _padded(*pair) for name, pair in pairs.items()}
        head = held.pop(HEAD, None)
        for number, (a, b, rank) in held.items():
            table[number] = torch.tensor([a.data_ptr(), b.data_ptr(), rank])
        most = max((rank for _, _, rank in held.values()), default=0)
        return Update(table, [(a, b) for a, b, _ in held.values()], most, head[:2] if head else None)


def _padded(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, int]:
    """Both packed, with zeros up to a rank of full units, and that rank."""
    short = -len(a) % UNIT
    return packed(F.pad(a, (0, 0, 0, short))), packed(F.pad(b, (0, short))), len(a) + short


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
    if not named or not packable(head) or _has_windows(model.config.get_text_config()) or _turns_by_length(base.rotary_emb):
        return False
    narrow = all(p.dtype == torch.bfloat16 and p.device.type == "cpu" for p in weights) and sum(p.nbytes for p in weights) <= MOST_PACKED
    return narrow and all(map(_is_layer, decoder_layers(model)))


def _has_windows(config: Any) -> bool:
    """Whether some layers see the last tokens only, which a short trial would not show."""
    kinds = getattr(config, "layer_types", None)
    return any(kind != "full_attention" for kind in kinds) if kinds else getattr(config, "sliding_window", None) is not None


def _turns_by_length(rotary: Any) -> bool:
    """Whether the longest text beside a token changes how its position is told."""
    kind = str(getattr(rotary, "rope_type", ""))
    return "dynamic" in kind or kind == "longrope"


def _is_layer(layer: Any) -> bool:
    named = _names(layer) == LAYER and _names(layer.self_attn) == set(ATTENTION)
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
    return Decoder(
        layers, norm.weight.detach(), head, *counts, width, inner, norm.variance_epsilon, first.self_attn.scaling, _numbers(model)
    )


def _numbers(model: PreTrainedModel) -> dict[str, int]:
    names = {module: name for name, module in model.named_modules()}
    linears = [layer.get_submodule(name) for layer in decoder_layers(model) for name in LINEARS]
    return {**{names[linear]: number for number, linear in enumerate(linears)}, names[model.get_output_embeddings()]: HEAD}


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
    """Whether it computes what the model computes: three rows of some tokens, the shorter ones padded on the left, then one more."""
    size = model.config.get_text_config().vocab_size
    ids = torch.arange(39).reshape(3, 13) * 7 % size
    mask = torch.ones_like(ids)
    mask[1, :5] = 0
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.inference_mode(), plain(model):
        caches = roomy_cache(model), roomy_cache(model)
        if caches[0] is None or caches[1] is None:
            return False
        for first, last in ((0, 12), (12, 13)):
            new, seen = (ids[:, first:last], positions[:, first:last]), mask[:, :last]
            own = made.read(model, *new, seen, caches[0]).float()
            usual = model(input_ids=new[0], attention_mask=seen, position_ids=new[1], cache=caches[1], use_cache=True)
            logits = usual.logits[:, -1].float()
            if not float((own - logits).norm()) <= CLOSE * float(logits.norm()):
                return False
    return True
