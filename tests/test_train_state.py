from __future__ import annotations

from typing import Any

import pytest
import torch

from engrain.errors import RunError
from engrain.tasks.chat import Chat
from engrain.train import TrainingSettings
from engrain.train_state import check_same, fingerprint
from training import examples, method


def of(dtype: torch.dtype = torch.float32, seed: int = 0, rank: int = 4, **settings: Any) -> dict[str, dict[str, Any]]:
    task = Chat(examples(3, seed=seed), examples(2, seed=5))
    return fingerprint(TrainingSettings(**settings), method("lora", rank=rank), task, dtype, torch.device("cpu"))


def test_the_same_is_the_same() -> None:
    assert check_same(of(), of()) == ""
    assert check_same(of(checkpoint_minutes=1.0), of()) == ""


def test_changes_are_named_all_together() -> None:
    with pytest.raises(RunError) as caught:
        check_same(of(), of(torch.bfloat16, seed=1, rank=8, learning_rate=0.5))
    assert caught.value.problems == (
        "learning_rate was None, is 0.5",
        "precision was 'float32', is 'bfloat16'",
        "rank was 4, is 8",
        "the train examples are others",
    )


def test_other_weights_of_the_base_are_named() -> None:
    def on(**files: str) -> dict[str, dict[str, Any]]:
        named = {f"{name}.safetensors": sha256 for name, sha256 in files.items()} | {"config.json": str(len(files))}
        task = Chat(examples(3), examples(2, seed=5))
        return fingerprint(TrainingSettings(), method("lora", rank=4), task, torch.float32, torch.device("cpu"), named)

    assert check_same(on(a="1", b="2"), on(a="1", b="2")) == ""
    with pytest.raises(RunError, match=r"the weights of the base are others: b\.safetensors, c\.safetensors"):
        check_same(on(a="1", b="2"), on(a="1", b="3", c="4"))
    then = on(a="1")
    del then["base"]
    assert check_same(then, on(a="2")) == "", "a checkpoint that did not note them is believed"


def test_another_method_is_named() -> None:
    other = fingerprint(TrainingSettings(), method("full"), Chat(examples(3), examples(2, seed=5)), torch.float32, torch.device("cpu"))
    with pytest.raises(RunError, match="method was 'lora', is 'full'"):
        check_same(of(), other)


def test_the_order_of_the_examples_counts() -> None:
    forth, back = (Chat(rows) for rows in (examples(3), examples(3)[::-1]))
    data = [fingerprint(TrainingSettings(), method("full"), task, torch.float32, torch.device("cpu"))["data"] for task in (forth, back)]
    assert data[0]["train"] != data[1]["train"]
    assert data[0]["heldout"] == data[1]["heldout"]


def test_another_machine_is_a_note() -> None:
    then = of()
    then["machine"] |= {"torch": "2.0.0", "threads": 1000}
    note = check_same(then, of(micro_batch_tokens=99))
    assert note.startswith("Not bit-exact from here on: micro_batch_tokens was 2048, is 99; threads was 1000, is ")
    assert f"torch was '2.0.0', is '{torch.__version__}'" in note


@pytest.mark.parametrize("name", ["full", "layerwise"])
def test_a_checkpoint_whose_moments_the_device_would_not_keep_so_names_the_setting(name: str) -> None:
    def on(device: str, bits: str = "auto") -> dict[str, dict[str, Any]]:
        chosen = method(name, optimizer_bits=bits)
        return fingerprint(TrainingSettings(), chosen, Chat(examples(3)), torch.float32, torch.device(device))

    with pytest.raises(RunError) as caught:
        check_same(on("cpu"), on("cuda"))
    assert "optimizer_bits was '16', is '32'" in str(caught.value)
    assert check_same(on("cpu"), on("cpu", "16")) == ""
    assert "device was 'cpu', is 'cuda'" in check_same(on("cpu"), on("cuda", "16"))
