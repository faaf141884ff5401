"""A network's change by training, kept small: low-rank factors of the large weights, the small ones whole.

Low-rank adaptation (Hu et al., arXiv 2106.09685, section 4.1) of linear maps, and of convolutions whose kernels are
read as matrices of (out, in × height × width). It trains in place of the weights, is stored in half precision beside
the network that it changes, and is added to its weights when they are loaded: it costs nothing when drawing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from submission.errors import UsageError
from submission.paths import readable

UP, DOWN = ".up", ".down"


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
    """What to store, float16, of the state of a network that `attach` has changed, by the bare network's names."""
    tensors = {}
    for name, tensor in state.items():
        parts = name.split(".")
        if "parametrizations" not in parts:
            tensors[name] = tensor.half().contiguous()
        elif parts[-1] != "original":  # module.parametrizations.weight.0.up
            place = parts.index("parametrizations")
            tensors[".".join([*parts[:place], parts[place + 1], parts[-1]])] = tensor.half().contiguous()
    return tensors


@torch.no_grad()
def apply(network: nn.Module, file: Path) -> None:
    """Change `network`, as it was when the training began, by what `change` gave and `file` (safetensors) holds.

    Raises UsageError where that is the change of another network.
    """
    tensors = load_file(file)
    for name, parameter in network.named_parameters():
        factors = tensors.pop(name + UP, None), tensors.pop(name + DOWN, None)
        whole = tensors.pop(name, None)
        if whole is not None and whole.shape == parameter.shape and factors == (None, None):
            parameter.copy_(whole)
        elif whole is None and (product := _product(*factors, parameter)) is not None:
            parameter.add_(product)
        else:
            raise UsageError(f"{readable(file)} changes another network: it has not what belongs to {name}")
    if tensors:
        raise UsageError(f"{readable(file)} changes another network: it has {min(tensors)}, which is not in this one")


def _product(up: Float[Tensor, "o r"] | None, down: Float[Tensor, "r i"] | None, parameter: Tensor) -> Tensor | None:
    if up is None or down is None or up.dim() != 2 or down.dim() != 2 or parameter.dim() < 2:
        return None
    if (len(up), down.shape[1]) != parameter.flatten(1).shape or up.shape[1] != len(down):
        return None
    return (up.float() @ down.float()).view_as(parameter)
