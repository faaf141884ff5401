"""Muon: momentum whose matrices are made orthogonal before they move the weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

MOMENTUM = 0.95  # Nesterov's, of matrices
BETAS = 0.9, 0.999  # AdamW's, of the rest
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration (Jordan et al., "Muon", 2024)


class Muon(torch.optim.Optimizer):
    """Muon for matrices and convolutions' kernels, taken as matrices (out, in · height · width); AdamW for the rest.

    One learning rate for both: Muon's steps are scaled to the size of AdamW's (Liu et al., arXiv 2502.16982, equation
    4). `torch.optim.Muon` takes neither kernels nor vectors.

    Args:
        parameters: those with two dimensions or more go by Muon.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float = 1e-3, weight_decay: float = 0.1) -> None:
        every = list(parameters)
        groups = [
            {"params": [p for p in every if p.ndim >= 2], "muon": True},
            {"params": [p for p in every if p.ndim < 2], "muon": False},
        ]
        defaults = {"lr": lr, "weight_decay": weight_decay}
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            (self._muon if group["muon"] else self._adamw)(group)

    def _muon(self, group: dict[str, Any]) -> None:
        alike: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
        for p in group["params"]:
            if p.grad is not None:
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                moving = state["momentum"].lerp_(p.grad, 1 - MOMENTUM)
                update = p.grad.lerp(moving, MOMENTUM).flatten(1)
                alike[update.shape].append((p, update))
        for shape, some in alike.items():  # matrices of one shape together: many are small
            scale = 0.2 * max(shape) ** 0.5
            moves = orthogonal(torch.stack([update for _, update in some]))
            for (p, _), move in zip(some, moves, strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * scale * move.view_as(p).to(p.dtype))

    def _adamw(self, group: dict[str, Any]) -> None:
        first, second = BETAS
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state |= {"step": 0, "mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
            state["step"] += 1
            mean = state["mean"].lerp_(p.grad, 1 - first)
            square = state["square"].mul_(second).addcmul_(p.grad, p.grad, value=1 - second)
            root = (square / (1 - second ** state["step"])).sqrt_().add_(1e-8)
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.addcdiv_(mean, root, value=-group["lr"] / (1 - first ** state["step"]))


def orthogonal(matrices: Float[Tensor, "k rows columns"], steps: int = 5) -> Float[Tensor, "k rows columns"]:
    """Each matrix's nearest semi-orthogonal one, roughly: singular values between about 0.7 and 1.2 (ibid.).

    In bfloat16 on CUDA, which is enough, in float32 elsewhere.
    """
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16() if matrices.device.type == "cuda" else matrices.float()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    found: Tensor = x.mT if tall else x
    return found.to(matrices.dtype)
