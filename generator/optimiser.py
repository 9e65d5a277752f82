"""Muon for matrices, AdamW for the rest, and an average of the weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def orthogonalised(matrix: Tensor, iterations: int = 4, kind: torch.dtype = torch.float32) -> Tensor:
    """About U V^T of a matrix's singular value decomposition, by a quintic Newton-Schulz iteration in `kind`.

    Coefficients of Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024).
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = (x / (x.norm() + 1e-7)).to(kind)
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates of the root mean square of AdamW's (Liu et al., 2025)."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], rate: float = 3e-3, momentum: float = 0.95, decay: float = 0.01
    ) -> None:
        super().__init__(parameters, {"lr": rate, "momentum": momentum, "decay": decay})
        self.kind = torch.float32  # of the iteration's numbers; bfloat16 is enough for it

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of all matrices that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                speed = self.state[parameter].setdefault("speed", torch.zeros_like(parameter))
                speed.mul_(group["momentum"]).add_(parameter.grad)
                step = orthogonalised(parameter.grad + group["momentum"] * speed, kind=self.kind)
                size = 0.2 * max(parameter.shape) ** 0.5
                parameter.mul_(1 - group["lr"] * group["decay"])
                parameter.add_(step, alpha=-group["lr"] * size)


def optimisers(blocks: nn.Module, model: nn.Module) -> tuple[Muon, torch.optim.AdamW]:
    """Muon for the matrices of `blocks`, AdamW for all else in `model`."""
    matrices = [parameter for name, parameter in blocks.named_parameters() if name.endswith("weight")]
    chosen = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
    return Muon(matrices), torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0)


@torch.no_grad()
def average(mean: nn.Module, model: nn.Module, step: int, share: float = 0.08) -> None:
    """Move `mean` towards `model` so that it averages the last `share` of all steps (Karras et al., 2024)."""
    weight = 1 / (share * step + 1)
    for slow, fast in zip(mean.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, weight)
