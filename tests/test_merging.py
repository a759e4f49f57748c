from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engrain import api
from engrain.errors import RunError, SettingError
from engrain.knowledge.facts import Fact
from engrain.merging import WAYS, MergeSettings, heldout_of
from engrain.methods._low_rank import adapted
from engrain.models import load_model, locate
from engrain.pipeline import base_row
from engrain.run import Run
from training import method, trainable

pytestmark = pytest.mark.filterwarnings("ignore")  # the PEFT library warns of adapters beside each other, which is meant


def run_of(folder: Path, base: Path, seed: int, name: str = "lora", **values: Any) -> Run:
    """A run that looks as if it had been trained: its update is random."""
    located = locate(str(base))
    model, chosen = load_model(located, dtype=torch.float32, device="cpu"), method(name, **values)
    torch.manual_seed(seed)
    chosen.apply(model)
    with torch.no_grad():
        for parameter in trainable(model).values():
            parameter.normal_(std=0.05)
    run = Run.create(folder, folder.name)
    chosen.save(model, run.path / chosen.artifact)
    settings = {"base": str(base), "method": name, "device": "cpu", "precision": "float32", **vars(chosen.settings)}
    run.write_rows("documents.jsonl", [{"file": f"{seed}.md", "number": 0, "text": f"Room {seed} is free.", "headings": [], "start": 0}])
    run.update(status="complete", settings=settings, base=base_row(located))
    return run


def update(folder: Path, base: Path, info: dict[str, Any]) -> dict[str, torch.Tensor]:
    """By how much each layer of a run differs from the base."""
    from engrain.methods.base import method_of

    model, chosen = load_model(locate(str(base)), dtype=torch.float32, device="cpu"), method_of(info["settings"])
    chosen.apply(model)
    chosen.load(model, folder / "adapter")
    return {name: layer.scale * layer.lora_B @ layer.lora_A for name, layer in adapted(model)}


@pytest.fixture(scope="module")
def parts(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    place = tmp_path_factory.mktemp("parts")
    return [run_of(place / f"run{seed}", tiny_folder, seed, rank=4) for seed in (1, 2)]


@pytest.mark.parametrize("how", WAYS)
def test_every_way_leaves_a_run_that_answers(how: str, parts: list[Run], tiny_folder: Path, tmp_path: Path) -> None:
    made = api.merge(parts, how=how, weights=(1.0, 0.5), out=tmp_path / "joined", evaluate=False).run
    joined = update(made.path, tiny_folder, made.info)
    assert all(torch.isfinite(delta).all() for delta in joined.values())
    assert any(delta.abs().max() > 0 for delta in joined.values())
    if how == "cat":
        first, second = (update(run.path, tiny_folder, run.info) for run in parts)
        for name, delta in joined.items():
            torch.testing.assert_close(delta, first[name] + 0.5 * second[name], rtol=1e-4, atol=1e-5)
    assistant = api.load(made)
    assert len(assistant.ask_many(["Which room is free?"])) == 1
    assert {row["file"] for row in made.read_rows("documents.jsonl")} == {"1.md", "2.md"}
    assert made.info["status"] == "complete"
    assert made.info["merged"]["how"] == how


@pytest.mark.parametrize("how", ["cat", "linear"])
def test_updates_with_a_scale_of_their_own_are_joined(how: str, tiny_folder: Path, tmp_path: Path) -> None:
    stable = [run_of(tmp_path / f"run{seed}", tiny_folder, seed, rank=4, rank_stabilized=True) for seed in (1, 2)]
    made = api.merge(stable, how=how, out=tmp_path / "joined", evaluate=False).run
    joined = update(made.path, tiny_folder, made.info)
    if how == "cat":
        first, second = (update(run.path, tiny_folder, run.info) for run in stable)
        for name, delta in joined.items():
            torch.testing.assert_close(delta, first[name] + second[name], rtol=1e-4, atol=1e-5)


def test_files_of_one_name_stay_apart(tiny_folder: Path, tmp_path: Path) -> None:
    """Room 4 is free in one run and room 5 in the other, at the same place of a file of the same name."""
    shops = [run_of(tmp_path / place / "shop", tiny_folder, seed, rank=4) for seed, place in ((1, "a"), (2, "b"))]
    same = {"file": "same.md", "number": 0, "text": "Ask us.", "headings": [], "start": 0}
    for value, run in zip("45", shops, strict=True):
        fact = Fact("f", "room", "is ___", value, "count", "", "README.md#0", 5, 6)
        turns = [{"role": "user", "content": "Which room is free?"}, {"role": "assistant", "content": value}]
        run.write_rows("documents.jsonl", [{**same, "file": "README.md", "text": f"Room {value} is free."}, same])
        run.write_rows("facts.jsonl", [fact, replace(fact, id="s", section="same.md#0", value="us", start=4, end=6)])
        for name in ("train", "own", "heldout"):
            run.write_rows(f"examples/{name}.jsonl", [{"messages": turns, "kind": "question", "fact": "f", "document": "README.md"}])
    made = api.merge(shops, out=tmp_path / "joined", evaluate=False).run
    texts = {f"{row['file']}#{row['number']}": row["text"] for row in made.read_rows("documents.jsonl")}
    assert set(texts) == {"shop-1/README.md#0", "shop-2/README.md#0", "same.md#0"}
    facts = {row["id"]: row for row in made.read_rows("facts.jsonl")}
    assert set(facts) == {"shop-1-f", "shop-2-f", "s"}
    for fact in facts.values():
        assert texts[fact["section"]][fact["start"] : fact["end"]] == fact["value"]
    for name in ("train", "own", "heldout"):
        rows = made.read_rows(f"examples/{name}.jsonl")
        assert [row["document"] for row in rows] == ["shop-1/README.md", "shop-2/README.md"]
        assert [facts[row["fact"]]["value"] for row in rows] == [row["messages"][-1]["content"] for row in rows] == ["4", "5"]


def test_what_chose_something_in_a_part_measures_nothing_in_the_joined_run() -> None:
    def rows(*questions: str) -> list[dict[str, Any]]:
        return [{"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": "Yes."}]} for q in questions]

    first, second = rows("Is it red?", "Is it blue?", "Is it new?"), rows("Is it old?", "Is it big?", "is it BLUE", "Is it wide?")
    found = [row["messages"][0]["content"] for row in heldout_of([first, second])]
    assert found[::2] == ["Is it red?", "Is it new?", "Is it old?"], "of both what measured, but for what chose in the other"
    assert found[1::2] == ["Is it blue?", "Is it big?", "Is it wide?"]
    alone = rows("Is it red?"), rows("Is it red?"), rows("Is it old?")
    assert heldout_of(alone) == [*alone[0], *alone[2]]


def test_runs_of_other_tasks_are_refused(parts: list[Run], tiny_folder: Path, tmp_path: Path) -> None:
    code, images = (run_of(tmp_path / name, tiny_folder, 3, rank=4) for name in ("code", "images"))
    code.update(settings={**code.info["settings"], "task": "code"})
    images.update(settings={**images.info["settings"], "task": "image-classification"}, base={"name": "b", "revision": "1"})
    with pytest.raises(SettingError, match="cannot be joined") as caught:
        api.merge([*parts, code, images], out=tmp_path / "joined")
    assert list(caught.value.problems) == [f"{code.path}: its task is code", f"{images.path}: its task is image-classification"]


def test_different_bases_are_refused(parts: list[Run], tmp_path: Path) -> None:
    import tiny

    other = run_of(tmp_path / "other", tiny.build(tmp_path / "base", seed=5), 3, rank=4)
    with pytest.raises(RunError, match="different base models") as caught:
        api.merge([*parts, other], out=tmp_path / "joined")
    assert len(caught.value.problems) == 3
    assert not (tmp_path / "joined").exists()


def test_what_cannot_be_joined_is_listed(parts: list[Run], tiny_folder: Path, tmp_path: Path) -> None:
    dora = run_of(tmp_path / "dora", tiny_folder, 3, "dora", rank=4)
    pattern = run_of(tmp_path / "pattern", tiny_folder, 4, rank=4, rank_pattern="q_proj=2")
    full = run_of(tmp_path / "full", tiny_folder, 5, "full")
    with pytest.raises(SettingError, match="cannot be joined") as caught:
        api.merge([*parts, dora, pattern, full], out=tmp_path / "joined")
    told = "\n".join(caught.value.problems)
    assert "DoRA" in told
    assert "other ranks" in told
    assert "a whole model" in told
    large = run_of(tmp_path / "large", tiny_folder, 6, rank=8)
    with pytest.raises(SettingError, match="their ranks differ"):
        api.merge([*parts, large], how="linear", out=tmp_path / "joined")
    made = api.merge([*parts, large], how="cat", out=tmp_path / "joined", evaluate=False).run
    assert json.loads((made.path / "adapter" / "adapter_config.json").read_text())["r"] == 16


@pytest.mark.parametrize(("how", "rank", "told"), [("cat", 40, "rank 80"), ("svd", 40, "narrowest"), ("linear", 40, "")])
def test_what_could_not_be_loaded_is_not_joined(how: str, rank: int, told: str, tiny_folder: Path, tmp_path: Path) -> None:
    wide = [run_of(tmp_path / f"wide{seed}", tiny_folder, seed, rank=rank) for seed in (1, 2)]
    if not told:
        assert update((made := api.merge(wide, how=how, out=tmp_path / "joined", evaluate=False).run).path, tiny_folder, made.info)
        return
    with pytest.raises(SettingError, match="cannot be joined") as caught:
        api.merge(wide, how=how, out=tmp_path / "joined", evaluate=False)
    assert told in caught.value.problems[0]
    assert not (tmp_path / "joined").exists()


def test_the_result_is_measured_like_any_run(parts: list[Run], tiny_folder: Path, tmp_path: Path) -> None:
    """Once on what the parts held out, and once on questions of one's own."""
    for number, part in enumerate(parts, 1):
        fact = Fact(f"f{number}", "room", "is ___", f"{number}", "count", "", f"{number}.md#0", 5, 6)
        part.write_rows("facts.jsonl", [fact])
        heldout = (f"Is room {number} free?", f"May I have room {number}?")  # three of the four measure
        for name, questions in (("train", ("Which room is free?",)), ("heldout", heldout)):
            turns = [[{"role": "user", "content": q}, {"role": "assistant", "content": f"{number}"}] for q in questions]
            part.write_rows(f"examples/{name}.jsonl", [{"messages": t, "kind": "question", "fact": fact.id} for t in turns])
    made = api.merge(parts, out=tmp_path / "joined")
    assert made.evaluation is not None
    assert made.verdict is not None
    assert made.evaluation.accuracy("tuned").count == 3
    assert {"base", "base+retrieval", "tuned", "tuned+retrieval"} == set(made.evaluation.columns)
    assert made.run.info["verdict"]["choice"] == made.verdict.choice
    assert made.run.info["status"] == "complete"
    for name in ("before.json", "evaluation.json", "report.html", "README.md"):
        assert (made.run.path / name).is_file()
    own = tmp_path / "questions.jsonl"
    own.write_text(json.dumps({"id": "a", "question": "Which room is free?", "answers": ["1"]}) + "\n")
    asked = api.merge(parts, out=tmp_path / "asked", questions=own)
    assert asked.evaluation is not None
    assert asked.evaluation.accuracy("tuned").count == 1


def test_updates_of_rounded_weights_stay_beside_these(tiny_folder: Path, tmp_path: Path) -> None:
    four = [run_of(tmp_path / f"four{seed}", tiny_folder, seed, "qlora", rank=4, loftq=True) for seed in (1, 2)]
    made = api.merge(four, out=tmp_path / "joined", evaluate=False).run
    assert made.info["settings"]["method"] == "qlora"
    mixed = api.merge([four[0], run_of(tmp_path / "plain", tiny_folder, 3, rank=4)], out=tmp_path / "mixed", evaluate=False).run
    assert mixed.info["settings"]["method"] == "lora"


@pytest.mark.parametrize(
    ("values", "told"),
    [({"how": "mean"}, "choose one of"), ({"how": "ties", "density": 0.0}, "density=0.0"), ({"density": 0.5}, "cannot take effect"),
     ({"weights": (1.0, -1.0)}, "must all be above 0"), ({"seed": 3}, "seed=3 cannot take effect with how='cat'")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        MergeSettings(**values)


def test_one_run_and_wrong_weights_are_refused(parts: list[Run]) -> None:
    with pytest.raises(SettingError, match="only one run"):
        api.merge(parts[:1])
    with pytest.raises(SettingError, match="3 for 2 runs"):
        api.merge(parts, weights=(1.0, 1.0, 1.0))
