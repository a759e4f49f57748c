"""Backbones: models of timm, the embedded one's weights, and which version a run was made with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engrain import api
from engrain.errors import ModelError, SettingError
from engrain.imaging.backbones import Classifier, load_backbone, outline
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
