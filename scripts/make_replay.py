"""Make the embedded base's answers to all bundled everyday prompts, which come with the package (about five minutes on two cores)."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from engrain.cli._progress import listener
from engrain.models import load_model, load_tokenizer, locate
from engrain.study.replay import GENERAL, replay_examples, replay_prompts

ALL = 10_000


def main() -> None:
    base = locate("smollm2-135m")
    shipped = GENERAL / f"replay-{base.key}.jsonl"
    shipped.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        replay_examples(lambda: (load_model(base), load_tokenizer(base)), replay_prompts(ALL, 0), base.key, Path(folder), listener())
        shutil.copy(Path(folder) / f"{base.key}.jsonl", shipped)


if __name__ == "__main__":
    main()
