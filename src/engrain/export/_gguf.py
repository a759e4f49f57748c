"""A model of the transformers library as a GGUF file, with the `gguf` package's writer and tensor names.

llama.cpp turns neighbouring numbers of a query or key into each other where transformers turns those half a head apart;
for the architectures that GGUF calls `llama`, the rows of both matrices are therefore reordered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFWriter, LlamaFileType, get_tensor_name_map
from gguf.constants import GGML_QUANT_VERSION
from gguf.quants import quant_shape_to_byte_shape, quantize

from engrain.export._gguf_words import add_words, words_obstacle
from engrain.fetch import read_json
from engrain.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TYPES, USUAL = ("f32", "f16", "bf16", "q8_0"), "f16"
TO_QUANTIZE = "For fewer bits run llama.cpp's `llama-quantize FILE.gguf NEW.gguf Q4_K_M` on a file of type f16."
CONVERT = "take --to merged and convert that folder with llama.cpp's convert_hf_to_gguf.py"
FORMATS = {
    "f32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "bf16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}
NARROW = {GGMLQuantizationType.Q8_0: GGMLQuantizationType.F16}
"""What a matrix gets whose rows do not fill whole blocks."""


@dataclass(frozen=True)
class Architecture:
    """What GGUF calls an architecture of transformers, and whether it wants queries and keys reordered."""

    arch: MODEL_ARCH
    reordered: bool


ARCHITECTURES = {
    "llama": Architecture(MODEL_ARCH.LLAMA, reordered=True),
    "mistral": Architecture(MODEL_ARCH.LLAMA, reordered=True),
    "qwen2": Architecture(MODEL_ARCH.QWEN2, reordered=False),
    "qwen3": Architecture(MODEL_ARCH.QWEN3, reordered=False),
}


def obstacle(folder: Path) -> str:
    """Why a model in Hugging Face layout cannot be written as GGUF here, and what to do; "" where it can."""
    config = read_json(folder / "config.json")
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        return f"the architecture {kind!r} is not written here, only {', '.join(ARCHITECTURES)}; {CONVERT}"
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    turned = rope.get("rope_type", rope.get("type", "default"))
    if turned != "default":
        return f"positions that are scaled ({turned}) are not written here; {CONVERT}"
    why = words_obstacle(folder)
    return f"{why}; {CONVERT}" if why else ""


def write_gguf(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, file: Path, name: str, type: str, progress: Progress) -> None:
    """Write model and tokenizer into one file; matrices in the format `type`, vectors in fp32."""
    config, known = model.config, ARCHITECTURES[model.config.model_type]
    writer = GGUFWriter(file, known.arch.name.lower())
    writer.add_name(name)
    writer.add_file_type(FORMATS[type][1])
    writer.add_quantization_version(GGML_QUANT_VERSION)
    _add_sizes(writer, config)
    add_words(writer, tokenizer, model.get_input_embeddings().weight.shape[0])
    tensors = list(_tensors(model, known.arch))
    for own, tensor in tensors:
        _announce(writer, own, tuple(tensor.shape), _format(own, tensor, type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    with progress.stage(f"Writing {file.name}", len(tensors), "tensors") as stage:
        for own, tensor in tensors:
            values = tensor.detach().float().cpu().numpy()
            if known.reordered and (".attn_q." in own or ".attn_k." in own):
                heads = config.num_attention_heads if ".attn_q." in own else config.num_key_value_heads
                values = reordered(values, heads)
            writer.write_tensor_data(quantize(np.ascontiguousarray(values), _format(own, tensor, type)))
            stage.advance()
    writer.close()


def reordered(values: np.ndarray, heads: int) -> np.ndarray:
    """The rows of each head so that those half a head apart become neighbours."""
    half = values.shape[0] // heads // 2
    return values.reshape(heads, 2, half, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def _add_sizes(writer: GGUFWriter, config: Any) -> None:
    """What the architecture needs to know of this model."""
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    # Within a window no position is out of sight, so a context no longer than that computes the same without it.
    writer.add_context_length(min(config.max_position_embeddings, window or config.max_position_embeddings))
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _tensors(model: PreTrainedModel, arch: MODEL_ARCH) -> Iterator[tuple[str, Tensor]]:
    """Every tensor under GGUF's name; an output head that is the embedding itself is written once."""
    names = get_tensor_name_map(arch, model.config.num_hidden_layers)
    table = model.get_input_embeddings().weight
    for name, tensor in model.state_dict(keep_vars=True).items():
        own = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert own is not None, f"GGUF has no name for {name}"
        if tensor is not table or own == "token_embd.weight":
            yield own, tensor


def _format(name: str, tensor: Tensor, type: str) -> GGMLQuantizationType:
    """Vectors stay in fp32, which llama.cpp expects; a matrix whose rows do not fill whole blocks of q8_0 gets f16."""
    if tensor.ndim == 1 or name.endswith("_norm.weight"):
        return GGMLQuantizationType.F32
    chosen = FORMATS[type][0]
    return NARROW[chosen] if chosen in NARROW and tensor.shape[-1] % 32 else chosen


def _announce(writer: GGUFWriter, name: str, shape: tuple[int, ...], format: GGMLQuantizationType) -> None:
    """Tell the writer of a tensor whose values come later, so that no more than one is held at a time."""
    plain: dict[Any, Any] = {GGMLQuantizationType.F32: np.dtype(np.float32), GGMLQuantizationType.F16: np.dtype(np.float16)}
    held = shape if format in plain else quant_shape_to_byte_shape(shape, format)
    dtype = plain.get(format, np.dtype(np.uint8))
    writer.add_tensor_info(name, held, dtype, int(np.prod(held)) * dtype.itemsize, raw_dtype=format)
