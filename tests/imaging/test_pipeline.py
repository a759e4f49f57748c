"""The whole way of an image classifier, on pictures of discs and squares and a backbone with random weights."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from engrain import api, registry
from engrain.cli import main
from engrain.errors import ExampleError, ModelError, RunError, SettingError
from engrain.imaging import backbones
from engrain.imaging import pipeline as image_pipeline
from engrain.imaging.backbones import Classifier, EfficientNetLite0, TransformersBackbone, load_backbone, patch_map
from engrain.imaging.classifier import heat_map, load_classifier, logits
from engrain.imaging.pipeline import judged_as
from engrain.run import Run
from engrain.tasks._augment import augmented
from engrain.tasks.image_classification import ImageClassification
from pictures import build_backbone, shape, write_folder


class Small(backbones.Backbone):
    """Two convolutions and a linear map over channels, its layers in one list."""

    width = 16

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(
            [backbones.Convolution(3, 8, 5, 4), backbones.Convolution(8, 16, 3, 2), backbones.Convolution(16, 16)]
        )

    def features(self, images: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            images = layer(images)
        return images


def small_backbone() -> Small:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return Small().eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every backbone is the small one, with the same random weights each time."""
    torch.set_num_threads(1)

    def load(name: str, progress: Any = None) -> tuple[Small, str]:
        return small_backbone(), "1"

    for module in ("pipeline", "classifier"):
        monkeypatch.setattr(f"engrain.imaging.{module}.load_backbone", load)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("images"), 24)


QUICK: dict[str, Any] = {"task": "image-classification", "image_size": 40, "epochs": 6, "batch_size": 8, "device": "cpu"}


def built(images: Path, out: Path, **options: Any) -> api.Result:
    return api.build(images, out=out, **{**QUICK, "learning_rate": 5e-3, **options})


@pytest.mark.parametrize("options", [{"method": "full"}, {"method": "layerwise", "layers": "2"}, {"method": "lora", "rank": 4}])
def test_a_build_learns_and_answers_the_same_when_loaded(images: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    result = built(images, tmp_path / "run", **options)
    run = result.run
    assert result.comparison is not None
    scores = {line.score: line for line in result.comparison.lines}
    assert scores["accuracy"].tuned.value is not None
    assert scores["accuracy"].tuned.value >= 0.7
    assert any("AUROC, sensitivity and specificity are those of the class square" in note for note in result.comparison.notes)
    rows = run.read_rows("images.jsonl")
    assert {row["part"] for row in rows} == {"train", "validation", "test"}
    predictions = run.read_rows("predictions.jsonl")
    assert [row["file"] for row in predictions] == [row["file"] for row in rows if row["part"] == "test"]
    found = api.classify(run, [images / row["file"] for row in predictions])
    for again, row in zip(found, predictions, strict=True):
        assert again.label == row["predicted"]
        assert again.probabilities == pytest.approx(row["probabilities"], abs=2e-4)
        assert sum(again.probabilities.values()) == pytest.approx(1)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "This is no medical device" in page
    assert "<script" not in page
    card = (run.path / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: image-classification" in card
    assert "This is no medical device" in card
    assert run.info["status"] == "complete"


def test_the_head_trains_with_every_method_and_the_rest_as_chosen(images: Path, tmp_path: Path) -> None:
    run = built(images, tmp_path / "run", method="layerwise", layers="1").run
    trained = load_classifier(run).model
    start = {f"backbone.{name}": tensor for name, tensor in small_backbone().state_dict().items()}
    moved = {name for name, tensor in trained.state_dict().items() if name in start and not torch.equal(tensor, start[name])}
    assert moved
    assert all(name.startswith("backbone.layers.2.") for name in moved)
    assert not torch.equal(trained.head.weight, torch.tensor(run.read_json("head.json")["weight"]))


def test_linear_maps_of_the_embedded_backbone_take_lora() -> None:
    from engrain.methods.base import Method

    found: Any = registry.find("methods", "lora")
    method: Method = found(found.Settings(rank=2))
    model = Classifier(EfficientNetLite0(), 3)
    method.apply(model)
    adapted = {name.rpartition(".lora_")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert "backbone.layers.5.expand.map" in adapted
    assert "head" in adapted
    assert len(adapted) == 15 + 16 + 1 + 1  # expansions, projections, the last convolution, the head


def test_convolutions_that_hold_most_of_the_weights_take_lora(images: Path, tmp_path: Path) -> None:
    run = built(images, tmp_path / "run", method="lora", rank=4, max_steps=2).run
    saved = load_file(run.path / "adapter" / "adapter_model.safetensors")
    assert saved["base_model.model.backbone.layers.0.map.lora_A.weight"].shape == (4, 3, 5, 5)
    assert saved["base_model.model.backbone.layers.0.map.lora_B.weight"].shape == (8, 4, 1, 1)
    assert torch.count_nonzero(saved["base_model.model.backbone.layers.0.map.lora_B.weight"])


def test_a_stopped_build_goes_on_to_the_same_weights(images: Path, tmp_path: Path) -> None:
    whole = built(images, tmp_path / "whole", method="full").run
    part = built(images, tmp_path / "part", method="full").run
    newest = part.newest_checkpoint()
    assert newest is not None
    part.update(status="interrupted")
    again = built(images, tmp_path / "part", method="full", resume=True).run
    first, second = ((run.path / "model" / "model.safetensors").read_bytes() for run in (whole, again))
    assert first == second


def test_what_other_tasks_have_is_refused(images: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="until=facts"):
        built(images, tmp_path / "run", until="facts")
    with pytest.raises(SettingError, match="does not use it"):
        built(images, tmp_path / "run", wordings=3)
    with pytest.raises(SettingError, match="max_length"):
        built(images, tmp_path / "run", max_length=99)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "lora", "rank": 2000}, "rank=2000 is larger than every matrix"),
        ({"method": "lora", "rank": 2, "target_modules": "q_proj"}, "LoRA cannot adapt q_proj"),
        ({"method": "lora", "rank": 2, "layers": "30-40"}, "layers='30-40'"),
        ({"method": "layerwise", "layers": "99"}, "layers='99'"),
        ({"method": "prompt_tuning"}, "learned tokens before a text"),
    ],
)
def test_a_method_that_does_not_fit_is_refused_before_any_work(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(image_pipeline, "read_images", None)
    monkeypatch.setattr(image_pipeline, "load_backbone", None)
    with pytest.raises(SettingError, match=re.escape(said)):
        built(images, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_backbone_of_transformers_is_outlined_by_its_configuration(images: Path, tmp_path: Path) -> None:
    backbone = build_backbone(tmp_path / "backbone")
    (backbone / "model.safetensors").unlink()
    with pytest.raises(SettingError, match="at most 16"):
        built(images, tmp_path / "run", backbone=str(backbone), method="lora", rank=17)
    with pytest.raises(ModelError, match="nowhere"):
        built(images, tmp_path / "run", backbone=str(tmp_path / "nowhere"))


def test_a_run_of_another_task_or_backbone_is_refused(images: Path, tmp_path: Path) -> None:
    run = built(images, tmp_path / "run", method="full", max_steps=1).run
    with pytest.raises(RunError, match="made for the task 'image-classification', not 'code'"):
        api.complete(run, "x")
    with pytest.raises(ExampleError, match=r"images\.jsonl"):
        api.classify(run, run.path / "images.jsonl")
    run.update(base={"name": "other", "revision": "2"})
    with pytest.raises(ModelError, match="the run was made with 2"):
        load_classifier(run)


def test_the_command_line_builds_and_classifies(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    options = ["--task", "image-classification", "--image-size", "40", "--max-steps", "4", "--batch-size", "8", "--method", "full"]
    assert main(["build", str(images), "--out", str(out), "--device", "cpu", *options]) == 0
    shown = capsys.readouterr().out
    assert "balanced accuracy" in shown
    assert f"engrain classify --run {out}" in shown
    picture = images / "disc" / "00.png"
    assert main(["classify", "--run", str(out), str(picture), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert set(found["probabilities"]) == {"disc", "square"}
    assert main(["classify", "--run", str(out), str(picture)]) == 0
    assert "This is no medical device" in capsys.readouterr().out


# --- parts


def test_batch_norms_keep_their_statistics() -> None:
    model = Classifier(small_backbone(), 2).train()
    before = model.backbone.layers[0].norm.running_mean.clone()
    model(torch.randint(0, 255, (4, 40, 40, 3), dtype=torch.uint8))
    assert torch.equal(model.backbone.layers[0].norm.running_mean, before)
    assert model.training


def test_edges_are_filled_as_tensorflow_does() -> None:
    layer = backbones.Convolution(1, 1, 3, 2, active=False).eval()
    with torch.no_grad():
        layer.map.weight.fill_(1.0)
        layer.norm.running_var.fill_(1 - backbones.EPSILON)
        out = layer(torch.arange(16.0).reshape(1, 1, 4, 4))
    assert out.shape == (1, 1, 2, 2)
    assert out[0, 0, 0, 0] == sum([0, 1, 2, 4, 5, 6, 8, 9, 10])  # nothing is added before the first row and column
    assert out[0, 0, 1, 1] == sum([10, 11, 14, 15])


def test_a_kernel_of_one_pixel_is_a_convolution() -> None:
    layer = backbones.Convolution(3, 5).eval()
    x = torch.randn(2, 3, 4, 4)
    conv = torch.nn.functional.conv2d(x, layer.map.weight[:, :, None, None])
    torch.testing.assert_close(layer(x), torch.nn.functional.relu6(layer.norm(conv)))


class Brightness(backbones.Backbone):
    """A feature map of one channel: how bright each field of 8 by 8 pixels is."""

    width = 1

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(images.mean(1, keepdim=True), 8).clamp(min=0)


def test_heat_lies_where_the_class_is_seen() -> None:
    model = Classifier(Brightness(), 2)
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor([[-1.0], [1.0]]))
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:16, :16] = 255
    heat = heat_map(model, pixels, 1)
    assert heat.shape == (40, 40)
    assert heat.max() == pytest.approx(1)
    assert heat[4:12, 4:12].min() > 0.5
    assert heat[24:, 24:].max() == 0
    assert heat_map(model, pixels, 0).max() == 0, "nothing speaks for the other class"


def test_patches_lose_their_class_token() -> None:
    values = torch.arange(10.0)[None]
    assert patch_map(values).tolist() == [[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]


@pytest.mark.parametrize("kind", ["vit", "convnext", "efficientnet"])
def test_models_of_transformers_are_backbones(kind: str, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModel

    sizes: dict[str, dict[str, Any]] = {
        "vit": {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 24,
            "image_size": 32,
            "patch_size": 8,
        },
        "convnext": {"hidden_sizes": [8, 12], "depths": [1, 1], "num_stages": 2, "patch_size": 4},
        "efficientnet": {"hidden_dim": 128, "width_coefficient": 0.1, "depth_coefficient": 0.1},
    }
    AutoModel.from_config(AutoConfig.for_model(kind, **sizes[kind])).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    backbone, _ = backbones.load_backbone(str(tmp_path))
    assert isinstance(backbone, TransformersBackbone)
    assert list(backbone.mean) == [0.5] * 3
    model = Classifier(backbone, 3)
    with torch.no_grad():
        torch.nn.init.normal_(model.head.weight)
    pixels = np.array(shape("disc", 1))
    assert logits(model, [pixels]).shape == (1, 3)
    assert heat_map(model, pixels).shape == (40, 40)


def test_a_backbone_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        load_backbone(str(tmp_path / "nowhere"))


# --- the task


def picture_of(label: str, seed: int) -> Any:
    from engrain.imaging.pictures import Picture

    return Picture(f"{label}{seed}", label, str(seed), "", 0, np.array(shape(label, seed)))


def test_rare_classes_count_as_much_as_common_ones() -> None:
    train = [*(picture_of("disc", i) for i in range(9)), picture_of("square", 99)]
    task = ImageClassification(("disc", "square"), train)
    model = Classifier(small_backbone(), 2)
    loss = task.loss(model, train)
    assert float(loss.total.detach()) == pytest.approx(10 * np.log(2))  # the head is zero: each class is as likely
    assert loss.count == 10
    assert task.weights.tolist() == pytest.approx([10 / 18, 5.0])
    assert ImageClassification(("disc", "square"), train, class_weights=False).weights.tolist() == [1.0, 1.0]
    assert task.length(train[0]) == 4
    assert task.targets(train[0]) == 1
    assert task.content(train[0]) != task.content(train[1])


def test_labels_are_smoothed_while_the_model_trains_alone() -> None:
    pictures = [picture_of(kind, number) for kind in ("disc", "square") for number in range(2)]
    tasks = [ImageClassification(("disc", "square"), pictures, label_smoothing=share) for share in (0.0, 0.2)]
    model = Classifier(small_backbone(), 2)
    torch.nn.init.normal_(model.head.weight)
    logits_BC = model(torch.from_numpy(np.stack([picture.pixels for picture in pictures]))).float()
    expected = torch.nn.functional.cross_entropy(logits_BC, torch.tensor([0, 0, 1, 1]), reduction="sum", label_smoothing=0.2)
    torch.testing.assert_close(tasks[1].loss(model.train(), pictures).total, expected)
    torch.testing.assert_close(tasks[1].loss(model.eval(), pictures).total, tasks[0].loss(model.eval(), pictures).total)


def test_images_change_while_training_only_and_by_the_seed_alone() -> None:
    train = [picture_of("disc", i) for i in range(4)]
    task = ImageClassification(("disc", "square"), train, augment=("shift", "colour", "flip", "upside-down"))
    model = Classifier(small_backbone(), 2)
    with torch.no_grad():
        torch.nn.init.normal_(model.head.weight)

    def loss(training: bool, seed: int) -> float:
        torch.manual_seed(seed)
        return float(task.loss(model.train(training), train).total.detach())

    assert loss(False, 0) == loss(False, 1)
    assert loss(True, 0) == loss(True, 0) != loss(True, 1)


@pytest.mark.parametrize(
    ("kinds", "same"), [((), True), (("flip",), False), (("upside-down",), False), (("colour",), False), (("shift",), False)]
)
def test_each_way_of_changing_images(kinds: tuple[str, ...], same: bool) -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 255, (8, 40, 40, 3), dtype=torch.uint8)
    changed = augmented(images, kinds)
    assert changed.shape == images.shape
    assert torch.equal(changed, images.float()) is same
    assert changed.min() >= 0
    assert changed.max() <= 255
    if kinds in (("flip",), ("upside-down",)):
        axis = 1 if kinds == ("flip",) else 0
        assert all(torch.equal(c, i.float()) or torch.equal(c, i.float().flip(axis)) for c, i in zip(changed, images, strict=True))


def test_runs_remember_their_classes(images: Path, tmp_path: Path) -> None:
    run = built(images, tmp_path / "run", method="full", max_steps=1).run
    assert Run.open(run.path).read_json("labels.json")["classes"] == ["disc", "square"]
    where = load_classifier(run).where(images / "disc" / "00.png", "disc")
    assert where.shape == (40, 40)


def test_of_more_than_two_classes_the_means_are_told() -> None:
    assert judged_as(("a", "b", "c")) == "means over the classes"
    assert judged_as(("a", "b")) == "those of the class b"
