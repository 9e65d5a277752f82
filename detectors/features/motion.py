"""S4: how things move: dense optical flow of the canonical view in thirty-two numbers.

Bodies have mass: filmed motion is smooth in time, coherent in space and can be followed back. Generated motion
drifts, melts and restarts. The flow is DIS (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016)
between neighbouring canonical frames; the canonical encoding leaves it nearly unchanged.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.canonical import FRAMES, SIDE, CanonicalFrames

STEP = 2
"""Every second flow vector in each direction is looked at: flow is smooth, and this is four times as fast."""
GRID = 4
"""Regions per axis whose mean speed is followed over time."""
_TINY = 1e-6
Flow = NDArray[np.float32]
"""(steps, height, width, 2) displacement in pixels per canonical frame, x first."""


def motion_names() -> tuple[str, ...]:
    """Names of the 32 values of `motion_features`, in their order."""
    return (
        "speed.mean", "speed.q50", "speed.q90", "speed.q99", "speed.spread_in_time", "speed.spread_in_space",
        "global.speed", "global.share", "global.jitter", "global.zoom", "global.turn",
        "divergence", "curl", "shear",
        "region.slope", "region.flatness", "region.lag1", "region.lag2", "region.lag4",
        "acceleration.ratio", "acceleration.kurtosis", "acceleration.skew", "jerk.ratio",
        "back.mean", "back.q90", "warp.mean", "warp.q90", "warp.gain", "warp.trend",
        "direction.entropy", "still.share", "edge.alignment",
    )  # fmt: skip


def motion_features(view: CanonicalFrames) -> NDArray[np.float32]:
    """(32,) statistics of forward and backward flow between the sixteen frames."""
    luma = np.clip(np.rint(view.luma), 0, 255).astype(np.uint8)
    forward = flow_between(luma[:-1], luma[1:])
    backward = flow_between(luma[1:], luma[:-1])
    sparse = forward[:, ::STEP, ::STEP]
    values = [
        *_speed(sparse),
        *_global(sparse),
        *_local(sparse),
        *_regions(sparse),
        *_acceleration(sparse),
        *_return(forward, backward),
        *_warp(luma.astype(np.float32), forward),
        *_shape(luma[:, ::STEP, ::STEP], sparse),
    ]
    return np.asarray(values, np.float32)


def flow_between(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Flow:
    """Flow from each frame of `first` to its partner in `second`, both (steps, height, width)."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    search.setUseSpatialPropagation(True)
    start = np.zeros((*first.shape[1:], 2), np.float32)
    flows = [search.calc(a, b, start.copy()) for a, b in zip(first, second, strict=True)]
    return np.stack([np.asarray(flow, np.float32) for flow in flows])


def _log(value: float | np.floating) -> float:
    return float(np.log(float(value) + 1e-3))


def _speed(flow: Flow) -> list[float]:
    speed = np.linalg.norm(flow, axis=-1)
    q50, q90, q99 = np.quantile(speed, (0.5, 0.9, 0.99))
    mean = speed.mean()
    in_time, in_space = speed.mean(axis=(1, 2)).std(), speed.std(axis=(1, 2)).mean()
    return [_log(mean), _log(q50), _log(q90), _log(q99), in_time / (mean + 1e-2), in_space / (mean + 1e-2)]


def _affine(flow: Flow) -> NDArray[np.float64]:
    """(steps, 3, 2) least-squares motion of the whole frame: x' = [x, y, 1] A, x and y from -1 to 1."""
    step = flow[:, ::2, ::2].reshape(len(flow), -1, 2).astype(np.float64)
    axis = np.linspace(-1, 1, flow.shape[1])[::2]
    y, x = np.meshgrid(axis, axis, indexing="ij")
    basis = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1)
    return np.stack([np.linalg.lstsq(basis, s, rcond=None)[0] for s in step])


def _global(flow: Flow) -> list[float]:
    affine = _affine(flow)
    shift = affine[:, 2]
    axis = np.linspace(-1, 1, flow.shape[1])
    y, x = np.meshgrid(axis, axis, indexing="ij")
    basis = np.stack([x, y, np.ones_like(x)], axis=-1)
    explained = np.einsum("hwb,tbc->thwc", basis, affine)
    total = float((flow.astype(np.float64) ** 2).sum()) + _TINY
    share = 1 - float(((flow - explained) ** 2).sum()) / total
    jitter = np.linalg.norm(np.diff(shift, axis=0), axis=1).mean() / (np.linalg.norm(shift, axis=1).mean() + 0.05)
    zoom = (affine[:, 0, 0] + affine[:, 1, 1]) / 2
    turn = (affine[:, 0, 1] - affine[:, 1, 0]) / 2
    speed = np.linalg.norm(shift, axis=1).mean()
    return [_log(speed), share, float(jitter), _log(np.abs(zoom).mean()), _log(np.abs(turn).mean())]


def _local(flow: Flow) -> list[float]:
    """Size of divergence, curl and shear relative to the mean speed."""
    dy, dx = (np.asarray(d) / STEP for d in np.gradient(flow, axis=(1, 2)))
    speed = float(np.linalg.norm(flow, axis=-1).mean()) + 1e-2
    divergence = np.abs(dx[..., 0] + dy[..., 1]).mean()
    curl = np.abs(dx[..., 1] - dy[..., 0]).mean()
    shear = np.hypot(dx[..., 0] - dy[..., 1], dx[..., 1] + dy[..., 0]).mean()
    return [_log(divergence / speed), _log(curl / speed), _log(shear / speed)]


def _region_speeds(flow: Flow) -> NDArray[np.float64]:
    """(steps, 16) mean speed in each region."""
    size = flow.shape[1] // GRID
    speed = np.linalg.norm(flow, axis=-1).astype(np.float64)
    return speed.reshape(len(flow), GRID, size, GRID, size).mean(axis=(2, 4)).reshape(len(flow), -1)


def _regions(flow: Flow) -> list[float]:
    """Slope and flatness of the regions' speed spectrum in time, and its correlation with itself later on."""
    speeds = _region_speeds(flow)
    moving = speeds - speeds.mean(axis=0)
    power = (np.abs(np.fft.rfft(moving * np.hanning(len(speeds) + 2)[1:-1, None], axis=0)) ** 2)[1:].mean(axis=1) + 1e-8
    slope = np.polyfit(np.log(np.arange(1, len(power) + 1)), np.log(power), 1)[0]
    flatness = np.exp(np.log(power).mean()) / power.mean()
    scale = float((moving**2).mean()) + 1e-8
    lags = [float((moving[lag:] * moving[:-lag]).mean()) / scale for lag in (1, 2, 4)]
    return [float(slope), float(flatness), *lags]


def _acceleration(flow: Flow) -> list[float]:
    """Change of flow at a place, relative to its speed; its tails; and the change of that change."""
    speed = float(np.linalg.norm(flow, axis=-1).mean()) + 1e-2
    change = np.diff(flow, axis=0)
    size = np.linalg.norm(change, axis=-1)
    deviation = size - size.mean()
    spread = float(size.std()) + _TINY
    kurtosis = float((deviation**4).mean()) / spread**4
    skew = float((deviation**3).mean()) / spread**3
    jerk = np.linalg.norm(np.diff(change, axis=0), axis=-1).mean()
    return [_log(size.mean() / speed), _log(kurtosis), float(skew), _log(jerk / (float(size.mean()) + 1e-2))]


def _return(forward: Flow, backward: Flow) -> list[float]:
    """How far following the flow and then the backward flow leads from the start, pixels, relative to speed."""
    error = np.stack([np.linalg.norm(f + _pulled(b, f), axis=-1) for f, b in zip(forward, backward, strict=True)])
    speed = float(np.linalg.norm(forward, axis=-1).mean()) + 0.05
    return [_log(error.mean() / speed), _log(np.quantile(error, 0.9) / speed)]


def _pulled(image: NDArray[np.float32], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """`image` (height, width[, channels]) looked up where `flow` leads."""
    axis = np.arange(SIDE, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    warped = cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)


def _warp(luma: NDArray[np.float32], flow: Flow) -> list[float]:
    """What flow does not explain of the next frame: size, tail, gain over no flow, and how it grows over the clip."""
    steps = zip(luma[:-1], luma[1:], flow, strict=True)
    error = np.stack([np.abs(_pulled(after, f) - before) for before, after, f in steps])
    plain = np.abs(np.diff(luma, axis=0)).mean() + 0.05
    contrast = float(luma.std()) + 1
    per_step = error.mean(axis=(1, 2))
    trend = np.polyfit(np.linspace(-1, 1, FRAMES - 1), per_step, 1)[0] / (per_step.mean() + 0.05)
    mean, tail = error.mean(), np.quantile(error, 0.9)
    return [_log(mean / contrast), _log(tail / contrast), _log(mean / plain), float(trend)]


def _shape(luma: NDArray[np.uint8], flow: Flow) -> list[float]:
    """Entropy of directions, share of still pixels, and whether edges of motion lie on edges of the picture."""
    speed = np.linalg.norm(flow, axis=-1)
    angle = np.arctan2(flow[..., 1], flow[..., 0])
    counts, _ = np.histogram(angle, bins=16, range=(-np.pi, np.pi), weights=speed)
    share = counts / (counts.sum() + _TINY)
    entropy = float(-(share * np.log(share + 1e-9)).sum())
    still = float((speed < 0.1).mean())
    motion_edges = np.hypot(*np.gradient(speed, axis=(1, 2))).ravel()
    picture = luma[:-1].astype(np.float32)
    picture_edges = np.hypot(*np.gradient(picture, axis=(1, 2))).ravel()
    return [entropy, still, _correlation(motion_edges, picture_edges)]


def _correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).mean() / (np.sqrt(float((a**2).mean()) * float((b**2).mean())) + _TINY))
