"""A run's language model as a plain one, how it answers, and its folder in Hugging Face layout.

Shapes: T tokens of a prompt, V words of the vocabulary.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from engrain.assistant import load as load_assistant
from engrain.coding.completion import load_completer
from engrain.errors import ModelError
from engrain.examples import Example, example_from_row
from engrain.export.base import BYTES, CODE, Check, Source
from engrain.fetch import model_errors, quiet
from engrain.generate import generate
from engrain.models import Base, load_model, load_tokenizer, locate
from engrain.progress import Progress
from engrain.tokens import encode_prompt, question_messages

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
SAFETENSORS = {"F32": "f32", "F16": "f16", "BF16": "bf16"}
"""Names of number formats in safetensors files."""
TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")
"""What of a generation configuration belongs to the model."""
MOST_PROMPTS, MOST_TOKENS, NEW_TOKENS = 8, 256, 32
QUESTIONS = ("When are you open?", "What does it cost?", "Who are you?", "What is the capital of France?")
CODE_BEGINNINGS = ("def main():\n", "import ", "class Reader:\n    def __init__(self", "# Read the file\n", "for i in range(")
"""What is asked where the run brings no questions."""
ASK = (
    "print(p([{'role': 'user', 'content': 'When are you open?'}], max_new_tokens=64, do_sample=False)[0]['generated_text'][-1]['content'])"
)
GO_ON = "print(p('def main():', max_new_tokens=64, do_sample=False)[0]['generated_text'])"
"""What commands ask a pipeline `p` of the transformers library, so that there is something to see."""
LITERAL = re.compile(r"[^\"$`\\\\!]*")
"""Text that a shell leaves alone between double quotes."""
TOLERANCE = {"": 1e-5, "f32": 1e-5, "f16": 1e-4, "bf16": 1e-2, "q8_0": 5e-2}
"""Nats by which the next token's distribution may differ on average: rounding of the number format explains no more."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model makes of prompts: log-probabilities (T, V) of the token after each of theirs, and the tokens that it writes."""

    log_probabilities: tuple[Tensor, ...]
    wrote: tuple[tuple[int, ...], ...]


def python(code: str) -> str:
    """A shell's command that runs a line of Python, in the quotes that are easier to read."""
    return f'python -c "{code}"' if LITERAL.fullmatch(code) else f"python -c {quote(code)}"


def plain_model(source: Source, progress: Progress) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The run's model without adapters, as it answers in engrain, on the CPU, and its tokenizer."""
    if source.task == CODE:
        completer = load_completer(source.run, progress=progress)
        return completer.model.to("cpu"), completer.tokenizer
    assistant = load_assistant(source.run, gate=False, progress=progress)
    return assistant.model.to("cpu"), assistant.tokenizer


def cannot_merge(source: Source) -> str:
    """Why the run's model is no plain one; "" where it is."""
    name = source.settings["method"]
    return "" if source.method.merges else f"the result of the method {name} cannot be merged into the weights; take --to adapter"


def beside_rounded(source: Source) -> bool:
    """Whether the run's adapter belongs beside weights rounded to 4 bits: over the base as others load it, it computes something else."""
    return bool(source.settings["method"] == "qlora")


def probes(source: Source, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Prompts to compare models on: questions of the run, held-out ones first, else some of ours."""
    if source.task == CODE:
        return [tokenizer.encode(text, add_special_tokens=False) for text in CODE_BEGINNINGS]
    files = [f"examples/{part}.jsonl" for part in ("heldout", "train")]
    step = max(1, sum(map(source.run.count_rows, files)) // MOST_PROMPTS)
    rows = islice(chain.from_iterable(map(source.run.each_row, files)), 0, None, step)
    asked = [encode_prompt(tokenizer, question(example_from_row(row))) for row in rows]
    usual = [encode_prompt(tokenizer, question_messages(text)) for text in QUESTIONS]
    return [ids for ids in (*asked, *usual) if len(ids) <= MOST_TOKENS][:MOST_PROMPTS]


def question(example: Example) -> tuple[Any, ...]:
    """The messages of an example before its first answer."""
    roles = [message.role for message in example.messages]
    return tuple(example.messages[: roles.index("assistant")]) if "assistant" in roles else tuple(example.messages)


def answers(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Sequence[int]], progress: Progress) -> Answers:
    """What a model makes of prompts, computed in fp32."""
    model = model.float().eval()
    with torch.no_grad():
        scores = tuple(F.log_softmax(model(torch.tensor([list(ids)]), use_cache=False).logits[0], -1) for ids in prompts)
    wrote = generate(model, tokenizer, prompts, max_new_tokens=NEW_TOKENS, progress=progress, title="Comparing")
    return Answers(scores, tuple(completion.ids for completion in wrote))


def compared(ours: Answers, theirs: Answers, reader: str, type: str) -> Check:
    """How two models' answers differ. Raises ModelError where the number format does not explain it."""
    pairs = list(zip(ours.log_probabilities, theirs.log_probabilities, strict=True))
    total = sum(float(F.kl_div(their, our, log_target=True, reduction="sum")) for our, their in pairs)
    nats = abs(total) / sum(len(our) for our, _ in pairs)
    same = sum(a == b for a, b in zip(ours.wrote, theirs.wrote, strict=True))
    check = Check(reader, len(pairs), same, "prompts", "mean divergence of the next token in nats", nats, TOLERANCE[type])
    if not math.isfinite(nats) or nats > check.tolerance:
        raise ModelError(
            f"What was written does not compute what the run's model computes: {check}", "This is a fault of engrain's own: report it."
        )
    return check


def write_folder(source: Source, folder: Path, checked: bool, progress: Progress) -> Check | None:
    """The run's model merged into its base, as a plain folder; read back and compared where `checked`."""
    model, tokenizer = plain_model(source, progress)
    prompts = probes(source, tokenizer) if checked else []
    dtype = DTYPES[source.type] if source.type else model.dtype
    ours = answers(model, tokenizer, prompts, progress) if checked else None
    with progress.stage("Writing the merged model"), quiet(), model_errors("the merged model cannot be written"):
        model.generation_config = plain_generation(model)
        model.to(dtype).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    if ours is None:
        return None
    del model
    written = Base(str(folder), folder, "", "folder")
    again = load_tokenizer(written)
    same_tokens(tokenizer, again, prompts)
    theirs = answers(load_model(written, dtype=torch.float32, device="cpu"), again, prompts, progress)
    return compared(ours, theirs, "transformers", source.type)


def plain_generation(model: PreTrainedModel) -> GenerationConfig:
    """Where answers begin and end, without the base's way of sampling: its penalties would change prices and names."""
    from transformers import GenerationConfig

    return GenerationConfig(**{name: getattr(model.generation_config, name) for name in TOKENS})


def same_tokens(ours: PreTrainedTokenizerBase, theirs: PreTrainedTokenizerBase, prompts: Sequence[Sequence[int]]) -> None:
    """Raise ModelError where a tokenizer that was read back makes other tokens of the prompts' texts."""
    for ids in prompts:
        text = ours.decode(list(ids))
        wanted, found = (tokenizer.encode(text, add_special_tokens=False) for tokenizer in (ours, theirs))
        if wanted != found or theirs.decode(list(ids)) != text:
            step = "This is a fault of engrain's own: report it."
            raise ModelError(f"The tokenizer that was written makes other tokens of {text[:60]!r}", step, [f"{wanted}", f"{found}"])


def folder_size(source: Source) -> int:
    """About how many bytes the weights take in the asked number format."""
    whole = source.run.path / "model"
    folder = whole if whole.is_dir() else source.base.folder if source.base else None
    held = numbers(folder) if folder else {}
    return round(sum(count * BYTES[source.type or SAFETENSORS.get(name, "f32")] for name, count in held.items()))


def numbers(folder: Path) -> dict[str, int]:
    """How many numbers the safetensors files of a folder hold, by the name of their format; read from the files' heads."""
    from safetensors import safe_open

    found: dict[str, int] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                part = file.get_slice(name)
                found[part.get_dtype()] = found.get(part.get_dtype(), 0) + math.prod(part.get_shape())
    return found


def adapter_compared(source: Source, folder: Path, progress: Progress) -> Check:
    """The PEFT library lays the adapter over the base, in the run's number format, which then answers as the run's model does.

    Raises ModelError where it cannot, and where the number format does not explain a difference.
    """
    from peft import PeftModel

    model, tokenizer = plain_model(source, progress)
    prompts, dtype = probes(source, tokenizer), model.dtype
    ours = answers(model, tokenizer, prompts, progress)
    base = locate(str(source.settings["base"]), progress)
    with quiet(), model_errors("the PEFT library cannot read what was written"):
        theirs = PeftModel.from_pretrained(load_model(base, dtype=dtype, device="cpu"), folder).merge_and_unload()
    kind = next(name for name, known in DTYPES.items() if known == dtype)
    return compared(ours, answers(theirs, tokenizer, prompts, progress), "the PEFT library", kind)


def adapter_config(source: Source) -> dict[str, Any]:
    """The configuration of the run's adapter; empty where it has none."""
    file = source.run.path / "adapter" / "adapter_config.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found
