"""A network's change by training, kept small: low-rank factors of the large weights, the small ones whole.

Low-rank adaptation (Hu et al., arXiv 2106.09685, section 4.1) of linear maps, and of convolutions whose kernels are
read as matrices of (out, in × height × width). It trains in place of the weights. It is stored beside the network that
it changes, the factors in 8 bits with a scale for each rank, and added to the weights when they are loaded: it costs
nothing when drawing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from baselines.weight_files import read_state
from submission.errors import UsageError
from submission.paths import readable

UP, DOWN, SCALE = ".up", ".down", ".scale"


class LowRank(nn.Module):
    """weight -> weight + up @ down, at first the weight itself: `up` is zero."""

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        out, inner = weight.flatten(1).shape
        self.up = nn.Parameter(torch.zeros(out, rank))
        self.down = nn.Parameter(torch.randn(rank, inner, generator=generator) / inner**0.5)

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.up @ self.down).view_as(weight)


def attach(network: nn.Module, rank: int) -> None:
    """Let `network` train its change of that rank alone: what is large is frozen and gets factors.

    A parameter that factors would not make smaller is trained as it is.
    """
    generator = torch.Generator().manual_seed(0)
    for module in list(network.modules()):
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.dim() < 2 or rank * sum(parameter.flatten(1).shape) >= parameter.numel():
                continue
            parametrize.register_parametrization(module, name, LowRank(parameter, rank, generator))
            parameter.requires_grad_(False)


def change(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What to store of the state of a network that `attach` has changed, by the bare network's names."""
    tensors = {}
    for name, tensor in state.items():
        module, parametrized, parameter = name.rpartition("parametrizations.")
        if not parametrized:
            tensors[name] = tensor.half().contiguous()
        elif parameter.endswith(UP):  # module.parametrizations.weight.0.up
            whole = f"{module}{parameter.partition('.')[0]}"
            down = state[name.removesuffix(UP) + DOWN]
            up_scale, down_scale = (part.abs().amax(dim, keepdim=True) / 127 for part, dim in ((tensor, 0), (down, 1)))
            tensors[whole + UP] = (tensor / up_scale.clamp(min=1e-12)).round().to(torch.int8)
            tensors[whole + DOWN] = (down / down_scale.clamp(min=1e-12)).round().to(torch.int8)
            tensors[whole + SCALE] = up_scale.flatten() * down_scale.flatten()
    return tensors


@torch.no_grad()
def apply(network: nn.Module, file: Path) -> None:
    """Change `network`, as it was when the training began, by what `change` gave and `file` (safetensors) holds.

    Raises UsageError where that is the change of another network, or no such file.
    """
    tensors = read_state(file)
    for name, parameter in network.named_parameters():
        whole, up, down, scale = (tensors.pop(name + part, None) for part in ("", UP, DOWN, SCALE))
        if whole is None and (product := _product(up, down, scale, parameter)) is not None:
            parameter.add_(product)
        elif whole is not None and whole.shape == parameter.shape and up is down is scale is None:
            parameter.copy_(whole)
        else:
            raise UsageError(f"{readable(file)} changes another network: it has not what belongs to {name}")
    if tensors:
        raise UsageError(f"{readable(file)} changes another network: it has {min(tensors)}, which is not in this one")


def _product(up: Tensor | None, down: Tensor | None, scale: Tensor | None, parameter: Tensor) -> Tensor | None:
    """Of factors (out, r) and (r, in) with a scale (r,), in the parameter's shape; None where they do not fit."""
    if up is None or down is None or scale is None or parameter.dim() < 2:
        return None
    out, inner = parameter.flatten(1).shape
    if (up.shape, down.shape) != ((out, len(scale)), (len(scale), inner)) or scale.dim() != 1:
        return None
    return ((up * scale) @ down.float()).view_as(parameter)
