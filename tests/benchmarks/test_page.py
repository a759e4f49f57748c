"""The page made from results that are written here by hand."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import environments, page, parts, quick
from benchmarks.__main__ import main
from benchmarks.measuring import Options, curve, quietness, rate
from benchmarks.parts import gpu, growth, machine, memory, precision, training
from benchmarks.results import Results, everywhere, here, slug
from engrain import registry
from engrain.methods.base import drawn

STEPS = 32
PRODUCTS = {"float32": 100e9, "bfloat16": 200e9}


def steps(first: float, seconds: float, count: int = STEPS) -> dict[str, list[float]]:
    return {"loss": [first - 0.01 * i for i in range(count)], "tokens": [2000] * count, "seconds": [seconds] * count}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    made = Results(tmp_path / "results")
    made.put("machine", "limits", {"products": {machine.LARGEST: PRODUCTS}, "copied": 50e9, "torch": "2"})
    own = {
        "rate": 400.0,
        "later_rate": None,
        "settled_seconds": 0.0,
        "peak_bytes": 1.5e9,
        "flops_per_token": 0.25e9,
        "counted": 30,
        "processors": 0.95,
    }
    made.put("training", "engrain-lora", {**own, **steps(3.0, 5.0)})
    made.put("training", "engrain-layerwise", {**own, "later_rate": 1300.0, **steps(3.0, 5.0, 2 * STEPS)})
    peer = {"rate": 100.0, "engrain_rate": 390.0, "peak_bytes": 5e9, "engrain_peak_bytes": 1.5e9, "versions": {}, "engrain_loss": [3.0] * 7}
    peer |= {"counted": 5, "processors": 0.9}
    made.put("training", "trl-lora-bfloat16", {**peer, **steps(3.2, 20.0, 7)})
    made.put("training", "unsloth-lora-bfloat16", {"unavailable": "pip could not install it"})
    made.put("precision", "lora", {**own, **steps(3.0, 10.0)})
    return made


def test_a_part_says_when_it_was_measured() -> None:
    morning, evening, before = ({"measured": time} for time in ("2026-12-03 10:39", "2026-12-03 21:05", "2026-11-30 20:02"))
    assert page.occasion({}) == []
    assert page.occasion({"a": morning, "b": evening}) == ["Measured 2026-12-03."]
    assert page.occasion({"a": morning, "b": before}) == ["Measured 2026-11-30 to 2026-12-03."]


def test_the_page_tells_speeds_ratios_targets_and_what_did_not_run(results: Results, tmp_path: Path) -> None:
    text = page.text(results, tmp_path / "images")
    assert "| engrain bf16, whole epoch | 400 |  |  | 30 at 95% | 1.50 GB | 50% | 3.0000 | 2.9400 | 2.6900 |" in text
    assert "| trl bf16 | 100 | 390 | 3.90 × | 5 at 90% | 5.00 GB | 12% | 3.2000 | 3.1400 |  |" in text
    assert "| LoRA r16: tokens/s | ≥ 450 | 400 | missed by 11% |" in text
    assert "| LoRA r16: times trl | ≥ 3.50 × | 3.90 × | met |" in text
    assert "| layer-wise, top third: tokens/s from the second epoch on | ≥ 1,200 | 1,300 | met |" in text
    assert "- unsloth-lora-bfloat16: pip could not install it" in text
    assert "Not measured yet: generation, start, growth, memory, plan, serve." in text


def test_the_overview_has_every_machine_beside_what_was_wanted(results: Results, tmp_path: Path) -> None:
    other, empty = Results(tmp_path / "other-machine"), Results(tmp_path / "empty")
    other.put("start", "evaluate", {"median": 4.0})
    empty.put("quick", "start", {"value": 4.0, "before": None})
    written = page.write([results, other, empty], tmp_path / "docs").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in written.splitlines() if line.startswith("| ")]
    assert [cell.partition("](")[2] for cell in rows[0][2:]] == ["performance/results/README.md)", "performance/other-machine/README.md) |"]
    assert ["| LoRA r16: tokens/s", "≥ 450", "400, missed by 11%", "– |"] in rows
    assert ["| start, with an evaluation afterwards", "≤ 5.0 s", "–", "4.0 s |"] in rows
    assert (tmp_path / "docs" / "performance" / "other-machine" / "README.md").is_file()


def test_training_with_other_settings_stands_beside_the_defaults(results: Results, tmp_path: Path) -> None:
    own = results.read("training")["engrain-lora"]
    results.put("training", "engrain-full", {**own, "peak_bytes": 3.5e9})
    results.put("training", "engrain-full-8bit", {**own, "rate": 300.0, "peak_bytes": 2.5e9, **steps(3.3, 5.0)})
    results.put("precision", "full", {**own, **steps(3.0, 10.0)})
    text = page.text(results, tmp_path / "images")
    assert "| engrain bf16, whole epoch | 400 |" in text
    assert "| engrain bf16, 8-bit moments, whole epoch | 300 |" in text
    assert "| full, fp32 masters: peak memory | ≤ 3.00 GB | 3.50 GB | missed by 17% |" in text
    assert "| full, fp32 masters, 8-bit moments: peak memory | ≤ 3.00 GB | 2.50 GB | met |" in text
    (row,) = (line for line in text.splitlines() if line.startswith("| full, fp32 masters: engrain bf16, 8-bit moments |"))
    assert row.endswith("| no, at 32 of 32 |")


def test_a_variant_has_the_settings_that_it_is_named_for() -> None:
    cells = training.cells(Options(2)) | precision.cells(Options(2))
    named = {"engrain-full": {}, "engrain-full-32bit": {"optimizer_bits": "32"}, "engrain-full-8bit": {"optimizer_bits": "8"}}
    named |= {"lora": {}, "full": {"optimizer_bits": "32"}, "layerwise": {"optimizer_bits": "32"}}
    assert {name: cells[name].keywords for name in named} == named  # type: ignore[attr-defined]


def test_plots_are_the_same_for_the_same_results(results: Results, tmp_path: Path) -> None:
    drawn = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        page.text(results, folder)
        drawn.append((folder / "performance-lora.svg").read_bytes())
    assert drawn[0] == drawn[1]
    assert b"<svg" in drawn[0]
    results.put("training", "engrain-lora", {**results.read("training")["engrain-lora"], **steps(9.0, 5.0)})
    page.text(results, tmp_path / "three")
    assert (tmp_path / "three" / "performance-lora.svg").read_bytes() != drawn[0]


def test_every_part_can_be_left_out(tmp_path: Path) -> None:
    made = Results(tmp_path / "results")
    made.put("memory", "lora", {"peak_bytes": 1.5e9})
    text = page.text(made, tmp_path / "images")
    assert f"Not measured yet: {', '.join(name for name in parts.NAMES if name not in ('memory', 'gpu'))}." in text
    assert "No CUDA device was there" in text


def test_distances_are_of_the_same_step() -> None:
    assert precision.distances([3.0, 2.02, 9.0], [3.0, 2.0]) == [0, pytest.approx(0.01)]


@pytest.mark.parametrize(("loss", "said"), [(2.0, "yes"), (2.1, "no, at 1 of 32")])
def test_the_page_says_where_bf16_leaves_fp32(results: Results, tmp_path: Path, loss: float, said: str) -> None:
    reference = results.read("precision")["lora"]
    reference["loss"] = [2.0] * STEPS
    own = {**results.read("training")["engrain-lora"], "loss": [2.0] * 4 + [loss] + [2.0] * 27}
    results.put("precision", "lora", reference)
    results.put("training", "engrain-lora", own)
    (row,) = [line for line in precision.section(results, tmp_path) if "engrain bf16" in line]
    assert row.endswith(f"| {said} |")
    assert ("| 5 |" in row) == (loss != 2.0)


def test_growth_has_laws_and_the_longest_row(tmp_path: Path) -> None:
    made = Results(tmp_path / "results")
    for length in growth.LENGTHS:
        made.put("growth", f"length-{length}", {"seconds_per_token": 2e-3 + 1e-7 * length, "peak_bytes": 1e9 + 5e5 * length})
    lines = growth.section(made, tmp_path / "images")
    assert any(line.startswith("| Length |") and "2 + 0.0001 · tokens of a row ms a token" in line for line in lines)
    assert "The memory to train on a row of 16,384 tokens: 9.19 GB (target ≤ 8.00 GB: missed by 15%)." in lines
    assert (tmp_path / "images" / "performance-growth.svg").is_file()


def test_memory_is_told_of_what_was_measured(tmp_path: Path) -> None:
    made = Results(tmp_path / "results")
    made.put("memory", "lora", {"peak_bytes": 1.5e9})
    made.put("memory", "full", {"peak_bytes": 3.25e9})
    assert memory.section(made, tmp_path)[2:] == ["| full | 3.25 GB |", "| lora | 1.50 GB |"]
    names = set(registry.names("methods"))
    assert {setting["method"] for setting in memory.settings().values()} <= names


def test_the_last_but_one_turn_is_that_of_the_largest_block() -> None:
    blocks = 31  # thirty layers, and the embeddings with what else there is
    order = [drawn(blocks, blocks, 0)[turn] for turn in range(memory.TURNS)]
    assert order.index(blocks - 1) == memory.TURNS - 2


def test_start_is_measured_with_what_users_install_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(environments, "made", lambda name, requirements: asked.append(requirements) or Path("python"))
    assert environments.installed() == Path("python")
    (requirements,) = asked
    assert requirements[-2:] == ("--editable", str(environments.ROOT))
    assert any(name.startswith("torch>=") for name in requirements)
    assert not any("pytest" in name or "timm" in name for name in requirements)


def test_results_of_other_cells_stay(tmp_path: Path) -> None:
    made = Results(tmp_path)
    made.put("start", "evaluate", {"median": 7.0})
    made.put("start", "no-evaluate", {"median": 3.0})
    made.put("start", "evaluate", {"median": 6.0})
    assert {name: row["median"] for name, row in made.read("start").items()} == {"evaluate": 6.0, "no-evaluate": 3.0}
    assert "cores" in made.read("start")["evaluate"]["machine"]


def test_quick_figures_stand_beside_those_before() -> None:
    row: dict[str, Any] = {"training, lora": {"value": 440.0, "before": 400.0}, "start": {"value": 3.0, "before": None}}
    lines = quick.shown(row)
    assert "| training, lora | 440.0 tokens/s | 400.0 | +10.0% |" in lines
    assert "| start | 3.0 s | – | – |" in lines


def test_warm_up_does_not_count() -> None:
    steps = [{"seconds": s, "computed": 2 * s, "tokens": 100, "loss": 1.0} for s in (50.0, 40.0, 1.0, 1.0)]
    rows = [{"seconds": 9.0, "settled": True}, *steps]
    assert rate(rows) == 100
    assert curve(rows)["seconds"] == [50, 40, 1, 1]


def test_disturbed_steps_do_not_count() -> None:
    rows = [{"seconds": s, "computed": c, "tokens": 100, "loss": 1.0} for s, c in ((1.0, 2.0), (4.0, 2.0), (1.0, 1.9), (1.0, 2.0))]
    assert rate(rows, warm=0) == 100
    assert quietness(rows, Options(threads=2), warm=0) == {"counted": 3, "processors": 0.983}


def test_every_trainer_says_what_it_needs_and_can() -> None:
    names = environments.trainer_names()
    assert names[0] == "engrain"
    assert {"trl", "unsloth", "llamafactory"} <= set(names)
    for name in names:
        module = environments.trainer(name)
        assert all("==" in requirement for requirement in module.REQUIREMENTS)
        assert module.VARIANTS
        assert callable(module.train)


def test_every_part_names_its_cells() -> None:
    options = Options(threads=1)
    for name in parts.NAMES:
        cells = page.part(name).cells(options)
        for measure in cells.values():
            signature(measure).bind()
        assert bool(cells) == (name != "gpu")
    assert "trl-lora-bfloat16" in training.cells(options)
    assert not any(cell.startswith("liger") for cell in training.cells(options)), "its kernels need CUDA"
    assert len(gpu.cells(Options(1, "cuda"))) > 10


def test_without_a_card_bench_gpu_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "missing", lambda: ["torch finds no CUDA device"])
    done = CliRunner().invoke(main, ["--gpu"])
    assert done.exit_code == 2
    assert "- torch finds no CUDA device" in done.output


def test_an_unknown_cell_is_refused_with_those_there_are() -> None:
    done = CliRunner().invoke(main, ["start", "nowhere"])
    assert done.exit_code == 2
    assert "start has no cell nowhere; it has no-evaluate, evaluate." in done.output


def test_results_of_machines_do_not_mix(tmp_path: Path) -> None:
    made = here(tmp_path)
    made.put("start", "evaluate", {"median": 6.0})
    Results(tmp_path / "another").put("start", "evaluate", {"median": 3.0})
    assert made.folder.name == slug(made.machine)
    assert [each.read("start")["evaluate"]["median"] for each in everywhere(tmp_path)].count(6.0) == 1
    assert here(tmp_path).read("start")["evaluate"]["median"] == 6.0
