from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

import training
from engrain.kernels import native
from engrain.tasks.chat import Chat

needs_compiler = pytest.mark.skipif(native.library() is None, reason="no C compiler")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path))
    return tmp_path


@needs_compiler
def test_it_is_compiled_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert native.library.__wrapped__() is not None
    (made,) = home.rglob("*.so")
    monkeypatch.setattr(native, "_compile", lambda *_: pytest.fail("compiled again"))
    assert native.library.__wrapped__() is not None
    assert [made] == list(home.rglob("*.*"))


@needs_compiler
def test_another_source_is_compiled_anew(home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    native.library.__wrapped__()
    other = tmp_path_factory.mktemp("source") / "elementwise.c"
    other.write_text(native.SOURCES[0].read_text(encoding="utf-8") + "\n", encoding="utf-8")
    monkeypatch.setattr(native, "SOURCES", (other, *native.SOURCES[1:]))
    native.library.__wrapped__()
    assert len(list(home.rglob("*.so"))) == 2


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGRAIN_NATIVE", "0")
    assert native.library.__wrapped__() is None


def test_a_machine_without_compiler_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert native.library.__wrapped__() is None


@pytest.mark.parametrize("script", ["echo wrong >&2; exit 1", "exit 0", "while [ $# -gt 0 ]; do [ $1 = -o ] && echo no > $2; shift; done"])
def test_a_compiler_that_fails_leaves_nothing(
    script: str, home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("bin")
    (folder / "cc").write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    assert native.library.__wrapped__() is None
    assert native.library.__wrapped__() is None


def test_a_compiler_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, timeout: float, **__: object) -> None:
        raise subprocess.TimeoutExpired("cc", timeout)

    monkeypatch.setattr(native.subprocess, "run", hang)
    assert native.library.__wrapped__() is None


@needs_compiler
@pytest.mark.parametrize("kind", ["llama", "qwen3", "mistral", "phi3", "gemma2", "smollm3"])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_training_computes_the_same(kind: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, task = training.small_model(kind), Chat(training.examples(4))
    training.method(method).apply(model)
    task.check(model)

    def losses_and_gradients() -> list[torch.Tensor]:
        loss = task.loss(model, task.train)
        trained = [p for p in model.parameters() if p.requires_grad]
        return [loss.total.detach(), *torch.autograd.grad(loss.total, trained)]

    found = losses_and_gradients()
    monkeypatch.setattr(native, "library", lambda: None)
    for one, other in zip(found, losses_and_gradients(), strict=True):
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()  # what rounding leaves in a sum grows with what was added
