"""The contract, for every method that the PEFT library brings; what does not keep it is refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engrain import registry
from engrain.config import settings_from
from engrain.errors import ModelError, SettingError
from engrain.generate import generate
from engrain.methods._probe import probe
from engrain.models import load_model, load_tokenizer, locate
from engrain.run import Run
from engrain.tasks.chat import Chat
from engrain.train import Trainer, TrainingSettings
from training import examples, logits, method, sha256_of_weights, small_model, train_steps, trainable

GUESTS = [name for name in registry.names("methods") if name not in registry.own("methods")]
SIZES = {"hidden_size": 256, "intermediate_size": 256, "num_key_value_heads": 4}
"""What the library's usual settings fit."""

pytestmark = pytest.mark.filterwarnings("ignore")  # the library warns of much that concerns its own development


def wide_model() -> Any:
    return small_model(**SIZES)


@pytest.mark.parametrize("name", GUESTS)
def test_it_keeps_the_contract_or_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    found = probe(name)
    if found.reason:
        with pytest.raises(SettingError, match="is not supported, because") as caught:
            settings_from({"method": name})
        assert found.reason in str(caught.value)
        return
    model, chosen = wide_model(), method(name)
    untouched = logits(model)
    torch.manual_seed(0)
    chosen.apply(model)
    assert found.starts_at_base == torch.allclose(logits(model), untouched, rtol=1e-4, atol=1e-4)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    declared = set(trainable(model))
    losses = train_steps(model, chosen, 6)
    assert losses[-1] < losses[0]
    moved = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    assert moved
    places = {model.state_dict()[n].data_ptr() for n in declared}  # now: some give a parameter new numbers elsewhere
    assert {model.state_dict()[n].data_ptr() for n in moved} <= places
    chosen.save(model, tmp_path / "adapter")
    torch.manual_seed(1)
    again = wide_model()
    chosen.apply(again)
    chosen.load(again, tmp_path / "adapter")
    assert torch.equal(logits(again), logits(model))
    after = logits(model)
    if not chosen.merges:
        with pytest.raises(SettingError, match="cannot be merged"):
            chosen.merge(model)
        return
    chosen.merge(model)
    torch.testing.assert_close(logits(model), after, rtol=2e-3, atol=2e-3)
    assert model.state_dict().keys() == wide_model().state_dict().keys()


@pytest.mark.parametrize("name", GUESTS)
def test_a_result_merged_in_bfloat16_answers_as_before(name: str) -> None:
    if probe(name).reason or not probe(name).merges:
        pytest.skip("not supported, or not merged")
    model, chosen, base = wide_model().to(torch.bfloat16), method(name), logits(wide_model().to(torch.bfloat16))
    torch.manual_seed(0)
    chosen.apply(model)
    train_steps(model, chosen, 12, torch.bfloat16)
    before = logits(model)
    assert not torch.equal(before, base)
    chosen.merge(model)
    assert (logits(model) - before).norm() < 0.05 * before.norm()


def test_most_of_the_library_is_supported() -> None:
    supported = {name for name in GUESTS if not probe(name).reason}
    assert {
        "ia3",
        "vera",
        "loha",
        "lokr",
        "oft",
        "boft",
        "hra",
        "ln_tuning",
        "prompt_tuning",
        "p_tuning",
        "multitask_prompt_tuning",
        "prefix_tuning",
    } <= supported
    assert not {"lora", "adalora", "mixed"} & set(GUESTS)


@pytest.mark.parametrize("name", ["p_tuning", "prompt_tuning"])
def test_tokens_before_a_text_need_a_text(name: str) -> None:
    model = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([torch.nn.Linear(2, 2)])})
    with pytest.raises(SettingError, match="this model reads none"):
        method(name).apply(model)


@pytest.mark.parametrize("name", GUESTS)
def test_a_resumed_training_ends_in_the_same_bits(name: str, tmp_path: Path) -> None:
    if probe(name).reason:
        pytest.skip("not supported")

    def trainer(place: str) -> Trainer:
        model, chosen = wide_model(), method(name)
        torch.manual_seed(0)
        chosen.apply(model)
        run = Run.open(tmp_path / place) if (tmp_path / place).exists() else Run.create(tmp_path / place, place)
        return Trainer(model, chosen, Chat(examples(8)), TrainingSettings(batch_size=4, max_steps=3), run, torch.float32)

    whole, first = trainer("whole"), trainer("parts")
    for made, steps in ((whole, 3), (first, 2)):
        for _ in range(steps):
            made.step()
    first.save()
    second, newest = trainer("parts"), first.run.newest_checkpoint()
    assert newest is not None
    second.resume(newest[1])
    second.step()
    assert sha256_of_weights(second.model) == sha256_of_weights(whole.model)
    assert sha256_of_weights(second.model) != sha256_of_weights(first.model)


@pytest.mark.parametrize("name", ["prompt_tuning", "p_tuning", "prefix_tuning"])
def test_answers_with_virtual_tokens_are_those_of_the_library(name: str, tiny_folder: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    base = locate(str(tiny_folder))
    model, tokenizer = load_model(base, dtype=torch.float32, device="cpu"), load_tokenizer(base)
    chosen = method(name, virtual_tokens=5)
    chosen.apply(model)
    with torch.no_grad():
        for parameter in trainable(model).values():
            parameter.normal_(std=0.3)
    chosen.save(model, tmp_path)
    chosen.load(model, tmp_path)
    other = PeftModel.from_pretrained(load_model(base, dtype=torch.float32, device="cpu"), tmp_path).eval()
    prompts = [tokenizer.encode(text) for text in ("hello there, how", "hello", "hello there you")]
    for rows in (prompts, [prompts[0]], [[9, 8, 7], [40, 41, 42, 43, 44]]):
        ours = [c.ids for c in generate(model, tokenizer, rows, max_new_tokens=6)]
        for prompt, found in zip(rows, ours, strict=True):
            ids = list(prompt)
            for token in found:
                with torch.no_grad():
                    assert int(other(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()) == token
                ids.append(token)


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("ia3", {"tuner_options": "nope=1"}, "tuner_options: ia3 has no nope"),
        ("ia3", {"tuner_options": "nope"}, "must be name=value"),
        ("ia3", {"tuner_options": "target_modules=*_proj"}, "must be name=value"),
        ("vera", {"rank": 8, "tuner_options": "r=4"}, "tuner_options: r is --rank"),
        ("vera", {"rank": 0}, "rank=0: must be at least 1"),
        ("prompt_tuning", {"virtual_tokens": 0}, "virtual_tokens=0"),
        ("poly", {}, "is not supported, because"),
    ],
)
def test_settings_that_cannot_work_are_refused_when_they_are_read(name: str, values: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        settings_from({"method": name, **values})


def test_an_option_that_needs_cuda_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SettingError, match="boft_n_butterfly_factor=2 needs CUDA, which this machine does not have"):
        settings_from({"method": "boft", "tuner_options": "boft_n_butterfly_factor=2"})
    settings_from({"method": "boft", "tuner_options": "boft_n_butterfly_factor=1"})
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    settings_from({"method": "boft", "tuner_options": "boft_n_butterfly_factor=2"})


def test_modules_that_are_not_there_are_refused_beside_some_that_are() -> None:
    with pytest.raises(SettingError, match=r"target_modules: there is no nope, o_pro\nThis model has: .*k_proj, .*q_proj"):
        method("ia3", target_modules="q_proj,nope,o_pro").apply(wide_model())


def test_options_reach_the_library() -> None:
    model = wide_model()
    method("hra", rank=2, tuner_options="apply_GS=true", target_modules="q_proj").apply(model)
    assert len(trainable(model)) == 2
    assert {tuple(p.shape) for p in trainable(model).values()} == {(256, 2)}


def test_another_base_is_refused_with_every_tensor_named(tmp_path: Path) -> None:
    model, chosen = wide_model(), method("ia3")
    chosen.apply(model)
    chosen.save(model, tmp_path)
    other = small_model(num_hidden_layers=3)
    chosen.apply(other)
    with pytest.raises(ModelError, match="does not fit this model") as caught:
        chosen.load(other, tmp_path)
    assert sum("layers.2" in problem for problem in caught.value.problems) == 3
    assert sum("in the file" in problem for problem in caught.value.problems) > 3
