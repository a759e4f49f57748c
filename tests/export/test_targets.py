"""Every target: what it offers, what it writes, what it says; and that nothing half-written is left."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from making import make_run

from engrain import api, registry
from engrain.cli import main
from engrain.errors import ModelError, RunError, SettingError
from engrain.evaluate import BASE, GENERAL, TUNED, Evaluation, score
from engrain.examples import Question
from engrain.export import target_of
from engrain.export.base import Source
from engrain.gate import Gate
from engrain.methods.base import method_of
from engrain.models import PLAIN_TEMPLATE, Base, load_model, locate
from engrain.run import Run

TARGETS = registry.names("export")
GENERAL_QUESTION = Question("g1", "What is the capital of France?", ("Paris",), GENERAL, "")


@pytest.fixture
def other(run: Any, tmp_path: Path) -> Run:
    """A copy of the run that may be changed."""
    return Run(Path(shutil.copytree(run.path, tmp_path / "a run")))


@pytest.fixture
def from_hub(other: Run, merging_base: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """That copy, as if its base had come from the Hub."""
    monkeypatch.setattr("engrain.models.cached_hub", lambda name: merging_base)
    monkeypatch.setattr("engrain.models.fetch_hub", lambda name, progress: (merging_base, merging_base.name))
    other.update(settings={**other.info["settings"], "base": "org/base"}, base={"name": "org/base", "source": "hub"})
    return other


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_exports_a_run_or_says_why_not(name: str, run: Any, tmp_path: Path) -> None:
    offer = next(offer for offer in api.exports(run) if offer.target == name)
    if offer.obstacle:
        with pytest.raises(SettingError, match=name):
            api.export(run, name, out=tmp_path / "taken")
        assert list(tmp_path.iterdir()) == []
        return
    exact = next((form for form in offer.forms if form.type == "f32"), offer.forms[0])  # rounding may change an answer
    done = api.export(run, name, out=tmp_path / "taken", type=exact.type)
    assert done.files == {p.relative_to(done.folder).as_posix(): p.stat().st_size for p in done.folder.rglob("*") if p.is_file()}
    card = (done.folder / "README.md").read_text()
    assert target_of(name).command(Source(run, exact.type), ".") in card
    assert str(tmp_path) not in card
    assert all(note in card for note in done.notes)
    assert any("from memory" in note for note in done.notes)
    assert done.check is not None
    assert done.check.same == done.check.count
    weights = sum(size for file, size in done.files.items() if file.endswith((".safetensors", ".gguf")))
    assert abs(weights - exact.bytes) < 0.25 * weights + 20_000
    with pytest.raises(SettingError, match="holds something already"):
        api.export(run, name, out=tmp_path / "taken")


def test_the_offers_say_for_which_task_a_target_is(run: Any) -> None:
    found = {offer.target: offer for offer in api.exports(run)}
    assert tuple(found) == TARGETS
    assert "image-classification" in found["onnx"].obstacle
    assert all(offer.title and offer.text for offer in found.values())


def test_the_merged_folder_answers_with_transformers_alone(run: Any, tmp_path: Path) -> None:
    done = api.export(run, "merged", out=tmp_path / "taken")
    program, _, code = shlex.split(done.command)
    assert program == "python"
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert (done.folder / "chat_template.jinja").read_text() == api.load(run, gate=False).tokenizer.chat_template


@pytest.mark.parametrize(("type", "dtype"), [("", torch.float32), ("f16", torch.float16), ("bf16", torch.bfloat16)])
def test_the_merged_weights_have_the_type_that_was_asked_for(run: Any, tmp_path: Path, type: str, dtype: torch.dtype) -> None:
    from safetensors.torch import load_file

    done = api.export(run, "merged", out=tmp_path / "taken", type=type)
    assert {tensor.dtype for tensor in load_file(done.folder / "model.safetensors").values()} == {dtype}
    assert done.type == type


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`")  # the PEFT library asks transformers in an old way
def test_the_adapter_is_read_by_the_peft_library_and_names_its_base(run: Any, tmp_path: Path, merging_base: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    done = api.export(run, "adapter", out=tmp_path / "taken")
    assert json.loads((done.folder / "adapter_config.json").read_text())["base_model_name_or_path"] == merging_base.name
    assert any(str(merging_base) in note for note in done.notes)
    ids = torch.arange(3, 40)[None]
    found = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(merging_base), done.folder)
    torch.testing.assert_close(found(ids).logits, api.load(run, gate=False).model(ids).logits, rtol=1e-4, atol=1e-4)


def test_a_run_in_bfloat16_is_compared_in_bfloat16(other: Run, tmp_path: Path) -> None:
    other.update(settings={**other.info["settings"], "precision": "bfloat16"})
    for name, tolerance in (("adapter", 1e-2), ("merged", 1e-5), ("gguf", 1e-4)):
        done = api.export(other, name, out=tmp_path / name)
        assert done.check is not None
        assert done.check.tolerance == tolerance
    assert api.export(other, "merged", out=tmp_path / "wide", type="f32").check is not None


def test_vllm_gets_the_merged_model_where_it_cannot_fetch_the_base(other: Run, tmp_path: Path) -> None:
    merged = api.export(other, "vllm", out=tmp_path / "merged")
    assert merged.command == f"vllm serve {tmp_path}/merged --served-model-name 'a run'"
    assert "model.safetensors" in merged.files


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`")
def test_vllm_gets_the_adapter_where_it_can_fetch_the_base(from_hub: Run, tmp_path: Path) -> None:
    done = api.export(from_hub, "vllm", out=tmp_path / "beside")
    assert done.command == (
        f"vllm serve org/base --generation-config vllm --enable-lora --max-lora-rank 8 --lora-modules 'a run={tmp_path}/beside'"
    )
    assert set(done.files) == {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    assert json.loads((done.folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "org/base"
    assert done.check is not None
    assert (done.check.reader, done.check.same) == ("the PEFT library", done.check.count)
    assert done.check.tolerance == 1e-5
    assert api.export(from_hub, "vllm", out=tmp_path / "unchecked", check=False).check is None


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`")
@pytest.mark.parametrize("name", ["adapter", "vllm"])
def test_an_adapter_that_computes_something_else_is_not_handed_out(
    name: str, from_hub: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((from_hub.path / "adapter" / "adapter_config.json").read_text())
    monkeypatch.setattr("engrain.export._text.adapter_config", lambda source: {**config, "lora_alpha": 2 * config["lora_alpha"]})
    with pytest.raises(ModelError, match="does not compute what the run's model computes"):
        api.export(from_hub, name, out=tmp_path / "taken")
    assert not (tmp_path / "taken").exists()


def test_vllm_is_told_the_form_of_prompts_that_its_base_lacks_and_to_leave_the_bases_sampling(
    other: Run, tmp_path: Path, merging_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Path(shutil.copytree(merging_base, tmp_path / "bare"))
    (bare / "chat_template.jinja").unlink()
    monkeypatch.setattr("engrain.export.base.on_disk", lambda name: Base(name, bare, "", "hub"))
    other.update(settings={**other.info["settings"], "base": "org/base"}, base={"name": "org/base", "source": "hub"})
    done = api.export(other, "vllm", out=tmp_path / "beside", check=False)
    assert (done.folder / "chat_template.jinja").read_text() == PLAIN_TEMPLATE
    assert f"--chat-template {tmp_path}/beside/chat_template.jinja" in done.command
    assert "--generation-config vllm" in done.command
    assert "--chat-template ./chat_template.jinja" in (done.folder / "README.md").read_text()


def test_the_bases_sampling_stays_behind(other: Run, tmp_path: Path, merging_base: Path) -> None:
    base = Path(shutil.copytree(merging_base, tmp_path / "base"))
    ends = {"eos_token_id": [1, 2], "bos_token_id": 1}
    (base / "generation_config.json").write_text(json.dumps({**ends, "do_sample": True, "temperature": 0.6, "repetition_penalty": 1.3}))
    other.update(settings={**other.info["settings"], "base": str(base)})
    done = api.export(other, "merged", out=tmp_path / "taken", check=False)
    written = json.loads((done.folder / "generation_config.json").read_text())
    assert {name: value for name, value in written.items() if name != "transformers_version"} == ends


def test_an_update_of_rounded_weights_is_laid_over_no_others(other: Run) -> None:
    settings = {**other.info["settings"], "base": "org/base", "method": "qlora"}
    other.update(settings=settings, base={"name": "org/base", "source": "hub"})
    found = {offer.target: offer for offer in api.exports(other)}
    assert found["adapter"].obstacle == "its adapter was trained beside weights rounded to 4 bits; take --to merged"
    assert found["vllm"].forms[0].command.startswith("vllm serve './a run-vllm'")
    assert found["merged"].obstacle == ""


def test_what_stays_behind_is_told_with_the_runs_own_figures(other: Run, tmp_path: Path) -> None:
    Gate(torch.zeros(64, dtype=torch.float64), -0.5).save(other.path)
    done = api.export(other, "merged", out=tmp_path / "unmeasured", check=False)
    assert any("The gate stays behind" in note and "has not measured" in note for note in done.notes)
    replies = {BASE: tuple(score([GENERAL_QUESTION], ["Paris"])), TUNED: tuple(score([GENERAL_QUESTION], ["Paris"]))}
    perplexity = {"base": 10.0, "tuned": 10.0, "tuned, alone": 12.3}
    other.write_json("evaluation.json", Evaluation(replies, perplexity, tuple(score([GENERAL_QUESTION], ["£41"]))).to_dict())
    done = api.export(other, "merged", out=tmp_path / "measured", check=False)
    told = next(note for note in done.notes if "The gate stays behind" in note)
    assert "keeps 0 of 1 general questions, at 1.23 times the base's perplexity" in told
    assert "The trained questions" not in told, "this run has no encoder"
    assert told in (done.folder / "README.md").read_text()
    assert done.check is None
    (other.path / "gate.safetensors").unlink()
    assert not any("stay" in note for note in api.export(other, "merged", out=tmp_path / "bare", check=False).notes)
    other.update(settings={**other.info["settings"], "encoder": True}, documents={"prices.md": "0" * 64})
    done = api.export(other, "merged", out=tmp_path / "worded", check=False)
    assert any("The trained questions stay behind" in note and "by itself" in note.lower() and "gate" not in note for note in done.notes)


def test_a_method_that_trains_the_model_itself_has_no_adapter(tmp_path: Path, merging_base: Path) -> None:
    from transformers import AutoModelForCausalLM

    made = Run(make_run(tmp_path, "whole", merging_base, seed=1))
    shutil.rmtree(made.path / "adapter")
    AutoModelForCausalLM.from_pretrained(merging_base).save_pretrained(made.path / "model")
    made.update(settings={"base": str(merging_base), "method": "full", "precision": "float32", "device": "cpu"})
    found = {offer.target: offer.obstacle for offer in api.exports(made)}
    assert "trains the model itself" in found["adapter"]
    done = api.export(made, "merged", out=tmp_path / "taken")
    assert done.check is not None


def test_a_method_that_cannot_be_merged_leaves_only_the_adapter(other: Run) -> None:
    settings = {"base": other.info["settings"]["base"], "method": "prompt_tuning", "precision": "float32", "device": "cpu"}
    other.update(settings=settings)
    found = {offer.target: offer.obstacle for offer in api.exports(other)}
    assert "cannot be merged" in found["merged"]
    assert "cannot be merged" in found["gguf"]
    assert "--to adapter" in found["ollama"]
    assert "merge_and_unload" not in target_of("adapter").command(Source(other), ".")


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`")
def test_an_adapter_that_cannot_be_merged_answers_with_peft_alone(tmp_path: Path, merging_base: Path) -> None:
    settings = {"base": str(merging_base), "method": "prompt_tuning", "virtual_tokens": 4, "precision": "float32", "device": "cpu"}
    made, method = Run.create(tmp_path / "run", "prompted"), method_of(settings)
    model = load_model(locate(str(merging_base)), dtype=torch.float32, device="cpu")
    method.apply(model)
    method.save(model, made.path / "adapter")
    made.update(status="complete", settings=settings, base={"name": str(merging_base), "source": "folder"})
    done = api.export(made, "adapter", out=tmp_path / "taken")
    _, _, code = shlex.split(done.command)
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_an_unfinished_run_and_a_wrong_target_are_refused(other: Run, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="there is no 'guff'"):
        api.export(other, "guff")
    with pytest.raises(SettingError, match="no such number format"):
        api.export(other, "adapter", type="f16")
    other.update(status="interrupted")
    with pytest.raises(RunError, match="not complete"):
        api.export(other, "merged", out=tmp_path / "taken")
    shutil.rmtree(other.path / "adapter")
    with pytest.raises(RunError, match="no trained model"):
        api.exports(other)


def test_a_failed_write_leaves_nothing(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, source: Any, folder: Path, checked: bool, progress: Any) -> None:
        (folder / "half").write_text("x")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engrain.export.merged.Merged.write", broken)
    with pytest.raises(RunError, match="disk is full"):
        api.export(run, "merged", out=tmp_path / "taken")
    assert list(tmp_path.iterdir()) == []


def test_the_command_line(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run.path)]) == 0
    listed = capsys.readouterr().out
    assert "gguf" in listed
    assert "onnx: the run was made for the task 'chat'" in listed
    assert main(["export", str(run.path), "--to", "gguf", "--type", "f32", "--out", str(tmp_path / "taken")]) == 0
    said = capsys.readouterr().out
    assert "kites-f32.gguf" in said
    assert "Checked:  read back with engrain's GGUF reader: the same answer to 7 of 7 prompts" in said
    assert "llama-server -m" in said
    assert main(["export", str(run.path), "--to", "adapter", "--out", str(tmp_path / "json"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == "adapter"
    assert found["check"]["reader"] == "the PEFT library"
    assert main(["export", str(run.path), "--type", "f16"]) == 2
    assert main(["export", str(run.path), "--to", "gguf", "--type", "q4_0", "--out", str(tmp_path / "no")]) == 2
    assert main(["export", str(run.path), "--to", "gguf", "--out", str(tmp_path / "taken")]) == 2
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("code", ["print('a b')", 'print("a")', "print('$HOME')", "print('it\\'s')", "print(1 != 2)"])
def test_a_command_of_python_is_one_argument_for_a_shell(code: str) -> None:
    from engrain.export._text import python

    assert (
        subprocess.run(["sh", "-c", f"printf %s {python(code).removeprefix('python -c ')}"], capture_output=True, text=True).stdout == code
    )
    assert (python(code) == f'python -c "{code}"') == (not set(code) & set('"$`\\!'))
