"""The model card of a run: a README.md as the Hugging Face Hub reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from engrain.by_heart import FILE as BY_HEART
from engrain.evaluate import BASE, Evaluation
from engrain.run import Run
from engrain.verdict import by_itself


def model_card(run: Run) -> str:
    """The card's text: YAML header, what it was tuned on, how it scores, what it cannot do. Missing parts are left out."""
    info = run.info
    is_adapter = (run.path / "adapter").is_dir()
    base = _base(info)
    header = {
        "base_model": base,
        "library_name": "peft" if is_adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["engrain", "question-answering", str(_setting(info, "method") or "fine-tuned")],
    }
    parts = [f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n", f"# {info.get('name', run.path.name)}\n"]
    what = "An adapter for" if is_adapter else "A model fine-tuned from"
    parts.append(f"{what} `{base}`, made by engrain from a set of documents so that it answers questions about them.\n")
    parts += [*_data(run), *_scores(run), *_limits(info)]
    return "\n".join(parts)


def _data(run: Run) -> Iterator[str]:
    counts = {
        "sections": len(run.read_rows("documents.jsonl")),
        "facts": len(run.read_rows("facts.jsonl")),
        "training examples": sum(row.get("repeats", 1) for row in run.each_row("examples/train.jsonl")),
        "replayed examples of the base model's own answers": len(run.read_rows("examples/replay.jsonl")),
    }
    files = run.info.get("documents")
    known = [f"- {count:,} {what}" for what, count in counts.items() if count]
    if known:
        documents = [f"- {len(files)} documents"] if isinstance(files, dict) and files else []
        yield "\n".join(["## Data\n", *documents, *known]) + "\n"


def _scores(run: Run) -> Iterator[str]:
    if not (run.path / "evaluation.json").is_file():
        return
    evaluation = Evaluation.from_dict(run.read_json("evaluation.json"))
    columns = evaluation.columns
    lines = [
        "## Scores\n",
        "Share of right answers, with 95% intervals.\n",
        f"| questions | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for kind, shares in evaluation.table().items():
        cells = [f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})" if share.count else "" for share in shares.values()]
        lines.append(f"| {kind} ({max(share.count for share in shares.values())}) | {' | '.join(cells)} |")
    kept = evaluation.retention()
    if kept.count:
        lines.append(f"\nOf {kept.count} general questions that `{BASE}` gets right it keeps {kept.right}.")
    ratio = evaluation.perplexity_ratio()
    if ratio is not None:
        lines.append(f"\nIts perplexity on ordinary text is {ratio:.2f} times that of the base.")
    if evaluation.alone:
        lines.append(f"\n{by_itself(evaluation)}")
    if known := [row["known"] for row in run.read_rows(BY_HEART)]:
        lines.append(f"\nAsked in the words that it practised most, it says {sum(known)} of {len(known)} facts word for word.")
    yield "\n".join(lines) + "\n"


def _limits(info: Mapping[str, Any]) -> Iterator[str]:
    verdict = info.get("verdict")
    if isinstance(verdict, dict):
        yield f"## Verdict\n\n**{verdict['choice']}**. {verdict['reason']}\n"
    yield (
        "## Limits\n\n"
        "It knows the documents as they were when it was made, and may be wrong about exact values: check an answer against its\n"
        "source, as `engrain ask` does. It is no better than its base at anything that the documents do not cover.\n"
    )


def _base(info: Mapping[str, Any]) -> str:
    base = info.get("base") or _setting(info, "base") or "unknown"
    return str(base.get("id") or base.get("name") or "unknown") if isinstance(base, dict) else str(base)


def _setting(info: Mapping[str, Any], name: str) -> Any:
    settings = info.get("settings")
    return settings.get(name) if isinstance(settings, dict) else info.get(name)
