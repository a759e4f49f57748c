"""The model card of a run whose task has scores of its own: a README.md as the Hugging Face Hub reads it."""

from __future__ import annotations

from typing import Any

import yaml

from engrain.comparison import Comparison, Line, Measured
from engrain.run import Run

LICENSED = "What the model writes may repeat code under these licences."


def task_card(run: Run, pipeline_tag: str) -> str:
    """The card's text: YAML header, what it was tuned from, its scores and what to know beside them."""
    info = run.info
    is_adapter = (run.path / "adapter").is_dir()
    header = {
        "base_model": info["base"]["name"],
        "library_name": "peft" if is_adapter else "transformers" if pipeline_tag == "text-generation" else "engrain",
        "pipeline_tag": pipeline_tag,
        "tags": ["engrain", info["settings"]["task"], info["settings"]["method"]],
    }
    found = comparison_from(run.read_json("scores.json")["comparison"])
    what = "An adapter for" if is_adapter else "A model fine-tuned from"
    lines = [f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n", f"# {info.get('name', run.path.name)}\n"]
    lines += [f"{what} `{info['base']['name']}` ({info['base']['revision']}), made by engrain.\n", "## Scores\n"]
    lines += [*found.table(), "", "In brackets: 95% intervals.", *(f"\n{note}" for note in found.notes), ""]
    if licences := info.get("licences"):
        files = ", ".join(f"`{name}`" for name in licences)
        lines += ["## Licences\n", f"The code that it learned from has these licence files: {files}.", LICENSED, ""]
    return "\n".join(lines)


def comparison_from(row: dict[str, Any]) -> Comparison:
    """A comparison from its JSON."""
    lines = [Line(line["score"], *(Measured(**line[name]) for name in ("base", "tuned", "difference"))) for line in row["lines"]]
    return Comparison(row["what"], row["base"], row["tuned"], tuple(lines), tuple(row["notes"]))
