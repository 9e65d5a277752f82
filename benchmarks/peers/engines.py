"""What each peer's own code does to frames. Runs in the peers' environment and imports nothing of Countermark.

An engine marks and reads frames one by one, as its authors publish it, default strengths. Frames are uint8 (time,
height, width, 3), RGB; a message is a list of 0 and 1, repeated from its start until the peer's capacity is full and
followed by zeros where it does not fit once more. Votes are float (time, bits): positive says 1, and the size says how
surely where the peer tells it; None where the peer refuses frames of that size.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import cv2
import numpy as np

_LEAST_PIXELS = 256 * 256
"""imwatermark's encoder and decoder refuse smaller pictures (its watermark.py)."""
_VIDEOSEAL_FRAMES = 16
"""Frames at a time, as in Video Seal's README."""


class Engine(Protocol):
    """One peer, loaded."""

    modules: Sequence[str]
    """What must be installed for it."""

    @classmethod
    def lacks(cls) -> str | None:
        """Say what else it lacks on this machine, in one line; None: nothing."""

    def embed(self, frames: np.ndarray, bits: Sequence[int]) -> np.ndarray:
        """Return marked frames."""

    def read(self, frames: np.ndarray, length: int) -> np.ndarray | None:
        """Return the votes of each frame for a message of `length` bits."""


class _Complete:
    """An engine whose package carries all it needs."""

    @classmethod
    def lacks(cls) -> str | None:
        return None


class _Wavelet(_Complete):
    """dwtDct and dwtDctSvd of invisible-watermark 0.2.0: one bit per 4 x 4 block of the chroma's low band."""

    modules: Sequence[str] = ("imwatermark", "pywt")
    scales = (0, 36)
    """Of luma and the first chroma channel; their default, 0: left alone."""

    def __init__(self, module: str, name: str) -> None:
        self._make: Callable[..., Any] = getattr(_submodule("imwatermark", module), name)

    def embed(self, frames: np.ndarray, bits: Sequence[int]) -> np.ndarray:
        if frames[0, ..., 0].size < _LEAST_PIXELS:
            raise ValueError("image too small, should be larger than 256x256")
        engine = self._make(list(bits), wmLen=len(bits))
        return np.stack([engine.encode(frame[..., ::-1].copy())[..., ::-1] for frame in frames])

    def read(self, frames: np.ndarray, length: int) -> np.ndarray | None:
        if frames[0, ..., 0].size < _LEAST_PIXELS:
            return None
        return np.stack([self._votes(frame, length) for frame in frames])

    def _votes(self, frame: np.ndarray, length: int) -> np.ndarray:
        """Their `decode`, before it makes each bit's mean over blocks 0 or 1 at 127 of 255."""
        import pywt

        engine = self._make(wmLen=length)
        height, width = (side // 4 * 4 for side in frame.shape[:2])
        planes = cv2.cvtColor(np.ascontiguousarray(frame[..., ::-1]), cv2.COLOR_BGR2YUV)
        scores: list[list[float]] = [[] for _ in range(length)]
        for channel, scale in enumerate(self.scales):
            if scale:
                low, _ = pywt.dwt2(planes[:height, :width, channel], "haar")
                scores = engine.decode_frame(low, scale, scores)
        return np.array([np.mean(blocks) for blocks in scores]) - 127 / 255


class DwtDct(_Wavelet):
    """The largest coefficient of each block of the low band, quantised."""

    def __init__(self) -> None:
        super().__init__("maxDct", "EmbedMaxDct")


class DwtDctSvd(_Wavelet):
    """The largest singular value of each block's DCT, quantised."""

    def __init__(self) -> None:
        super().__init__("dwtDctSvd", "EmbedDwtDctSvd")


class RivaGan(_Complete):
    """RivaGAN (Zhang et al., arXiv 1909.01285) as invisible-watermark 0.2.0 packs it: two ONNX files, 32 bits.

    Its wrapper needs torch for turning arrays round, and nothing else; here numpy does that.
    """

    modules: Sequence[str] = ("imwatermark", "onnxruntime")
    threshold = 0.52
    """Of the wrapper's decoder."""

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(str(_folder("imwatermark") / f"rivagan_{part}.onnx"), options)
            for part in ("encoder", "decoder")
        )

    def embed(self, frames: np.ndarray, bits: Sequence[int]) -> np.ndarray:
        data = np.array([bits], dtype=np.float32)
        return np.stack([self._marked(frame, data) for frame in frames])

    def _marked(self, frame: np.ndarray, data: np.ndarray) -> np.ndarray:
        (marked,) = self._encoder.run(None, {"frame": _signed(frame), "data": data})  # (1, 3, 1, height, width)
        bgr = (np.clip(marked[0, :, 0], -1.0, 1.0).transpose(1, 2, 0) + 1.0) * 127.5
        return bgr.astype(np.uint8)[..., ::-1]

    def read(self, frames: np.ndarray, length: int) -> np.ndarray | None:
        if frames[0, ..., 0].size < _LEAST_PIXELS:
            return None
        return np.stack([self._decoder.run(None, {"frame": _signed(frame)})[0][0] for frame in frames]) - self.threshold


class BlindWatermark(_Complete):
    """blind-watermark 0.4.4, passwords 1 and 1: singular values of shuffled blocks, decided by two means."""

    modules: Sequence[str] = ("blind_watermark", "pywt")

    def __init__(self) -> None:
        import blind_watermark

        self._make = blind_watermark.WaterMark

    def embed(self, frames: np.ndarray, bits: Sequence[int]) -> np.ndarray:
        marked = []
        for frame in frames:
            engine = self._make()
            engine.read_img(img=np.ascontiguousarray(frame[..., ::-1]))
            engine.read_wm(list(bits), mode="bit")
            marked.append(np.rint(engine.embed()).astype(np.uint8)[..., ::-1])
        return np.stack(marked)

    def read(self, frames: np.ndarray, length: int) -> np.ndarray | None:
        if min(frames.shape[1:3]) // 8 * (max(frames.shape[1:3]) // 8) <= length:
            return None  # fewer blocks than bits
        bgr = (np.ascontiguousarray(frame[..., ::-1]) for frame in frames)
        bits = [self._make().extract(embed_img=frame, wm_shape=length, mode="bit") for frame in bgr]
        return 2.0 * np.array(bits, dtype=np.float64) - 1.0


class VideoSeal:
    """Video Seal (Fernandez et al., arXiv 2412.09492), its published TorchScript file of 256 bits.

    COUNTERMARK_VIDEOSEAL names the file (``y_256b_img.jit`` of its README). `embed(frames, message, is_video=True)` and
    `detect(frames, is_video=True)` -> (frames, 1 + bits), the first column the detection bit, which is left out.
    """

    modules: Sequence[str] = ("torch",)
    capacity = 256

    @classmethod
    def lacks(cls) -> str | None:
        path = os.environ.get("COUNTERMARK_VIDEOSEAL")
        if not path:
            return "its weights are not here: COUNTERMARK_VIDEOSEAL names its TorchScript file"
        return None if Path(path).is_file() else f"COUNTERMARK_VIDEOSEAL: {path} is no file"

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(1)
        self._torch: Any = torch
        self._model = torch.jit.load(os.environ["COUNTERMARK_VIDEOSEAL"], map_location="cpu").eval()

    def embed(self, frames: np.ndarray, bits: Sequence[int]) -> np.ndarray:
        message = self._torch.tensor([_filled(bits, self.capacity)], dtype=self._torch.float32)
        marked = self._each(frames, lambda part: self._model.embed(part, message, is_video=True))
        return np.rint(marked.clip(0.0, 1.0).transpose(0, 2, 3, 1) * 255.0).astype(np.uint8)

    def read(self, frames: np.ndarray, length: int) -> np.ndarray | None:
        votes = self._each(frames, lambda part: self._model.detect(part, is_video=True))
        return _summed(votes[:, 1:], length)

    def _each(self, frames: np.ndarray, function: Callable[[Any], Any]) -> np.ndarray:
        done = []
        with self._torch.no_grad():
            for first in range(0, len(frames), _VIDEOSEAL_FRAMES):
                part = np.ascontiguousarray(frames[first : first + _VIDEOSEAL_FRAMES].transpose(0, 3, 1, 2))
                done.append(function(self._torch.from_numpy(part).float() / 255.0).numpy())
        return np.concatenate(done)


class TrustMark:
    """TrustMark Q (Bui et al., arXiv 2311.18297), package trustmark, its 100 bits raw: no error correction.

    COUNTERMARK_TRUSTMARK names the folder of its model files. The package fetches what is missing; here that is an
    error, since nothing is fetched that nobody asked for.
    """

    modules: Sequence[str] = ("trustmark", "torch", "torchvision", "PIL")
    capacity = 100
    files = ("trustmark_Q.yaml", "encoder_Q.ckpt", "decoder_Q.ckpt")

    @classmethod
    def lacks(cls) -> str | None:
        folder = os.environ.get("COUNTERMARK_TRUSTMARK")
        if not folder:
            return "its weights are not here: COUNTERMARK_TRUSTMARK names the folder of its model files"
        missing = [name for name in cls.files if not (Path(folder) / name).is_file()]
        return f"COUNTERMARK_TRUSTMARK: {folder} lacks {', '.join(missing)}" if missing else None

    def __init__(self) -> None:
        import torch
        from trustmark import TrustMark as Published  # type: ignore[import-not-found]
        from trustmark.trustmark import MODEL_CHECKSUMS  # type: ignore[import-not-found]

        torch.set_num_threads(1)
        folder = Path(os.environ["COUNTERMARK_TRUSTMARK"])

        class Local(Published):  # type: ignore[misc, valid-type]
            def load_model(self, config_path: str, weight_path: str, *rest: Any, **named: Any) -> Any:
                paths = [folder / Path(path).name for path in (config_path, weight_path)]
                return super().load_model(*map(str, paths), *rest, **named)

            def check_and_download(self, filename: str) -> None:
                if _md5(Path(filename)) != MODEL_CHECKSUMS[Path(filename).name]:
                    raise ValueError(f"{filename} is not the file that its authors published")

        for name in self.files:  # the package prints what fails, and goes on
            if _md5(folder / name) != MODEL_CHECKSUMS[name]:
                raise ValueError(f"{name} is not the file that its authors published")
        self._model = Local(use_ECC=False, verbose=False, device="cpu", model_type="Q", loadRemover=False)

    def embed(self, frames: np.ndarray, bits: Sequence[int]) -> np.ndarray:
        from PIL import Image

        secret = "".join(str(bit) for bit in _filled(bits, self.capacity))
        marked = (self._model.encode(Image.fromarray(frame), secret, MODE="binary") for frame in frames)
        return np.stack([np.asarray(picture) for picture in marked])

    def read(self, frames: np.ndarray, length: int) -> np.ndarray | None:
        from PIL import Image

        said = [self._model.decode(Image.fromarray(frame), MODE="binary")[0] for frame in frames]
        return _summed(2.0 * np.array([[int(bit) for bit in bits] for bits in said], dtype=np.float64) - 1.0, length)


ENGINES: dict[str, type[Engine]] = {
    "dwtDct": DwtDct,
    "dwtDctSvd": DwtDctSvd,
    "RivaGAN": RivaGan,
    "blind-watermark": BlindWatermark,
    "videoseal": VideoSeal,
    "trustmark": TrustMark,
}


def reasons() -> dict[str, str | None]:
    """Say of each engine why it cannot run here, in one line; None where it can."""
    found: dict[str, str | None] = {}
    for name, engine in ENGINES.items():
        missing = [module for module in engine.modules if importlib.util.find_spec(module) is None]
        lacking = f"{', '.join(missing)} not installed in the peers' environment" if missing else None
        found[name] = engine.lacks() or lacking
    return found


def _filled(bits: Sequence[int], capacity: int) -> list[int]:
    repeated = list(bits) * (capacity // len(bits))
    return repeated + [0] * (capacity - len(repeated))


def _summed(votes: np.ndarray, length: int) -> np.ndarray:
    """Add the votes of a message's copies: (time, capacity) -> (time, length)."""
    copies = votes.shape[1] // length
    return votes[:, : copies * length].reshape(len(votes), copies, length).sum(axis=1)


def _signed(frame: np.ndarray) -> np.ndarray:
    """RGB (height, width, 3) -> BGR float32 (1, 3, 1, height, width) in -1 .. 1."""
    bgr = frame[..., ::-1].astype(np.float32) / 127.5 - 1.0
    return np.ascontiguousarray(bgr.transpose(2, 0, 1)[None, :, None])


def _folder(package: str) -> Path:
    """The folder of an installed package, which is not imported: imwatermark as a whole imports torch."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"{package} is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def _submodule(package: str, name: str) -> ModuleType:
    """Load one module of a package by its file."""
    spec = importlib.util.spec_from_file_location(f"{package}.{name}", _folder(package) / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{package} has no {name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()
