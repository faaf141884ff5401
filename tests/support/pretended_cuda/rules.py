"""What a GPU refuses, in the words of PyTorch's own errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pretended_cuda.memory import Memory, tensors_in

# Kernels that take no scalar from the CPU: everything else is element by element, where a tensor without dimensions
# counts as a number.
_NO_CPU_SCALARS = """
    cat concat concatenate stack hstack vstack dstack block_diag linear conv1d conv2d conv3d conv_transpose1d
    conv_transpose2d matmul __matmul__ __rmatmul__ mm bmm mv dot addmm addmm_ baddbmm addmv outer ger einsum
    embedding layer_norm group_norm batch_norm instance_norm index_select gather scatter scatter_ scatter_add_
    index_add index_add_ index_copy index_copy_ take masked_select masked_scatter_ cross_entropy nll_loss
    binary_cross_entropy scaled_dot_product_attention multi_head_attention_forward cdist searchsorted bucketize
    bincount multinomial grid_sample affine_grid pad equal allclose isclose repeat_interleave mse_loss
"""
NO_CPU_SCALARS = frozenset(_NO_CPU_SCALARS.split())
# Products have no CUDA kernel for integers.
_PRODUCTS = """
    matmul __matmul__ __rmatmul__ mm bmm mv addmm addmm_ baddbmm linear conv1d conv2d conv3d einsum cdist
"""
PRODUCTS = frozenset(_PRODUCTS.split())
_SCALAR_NAMES = {torch.int64: "Long", torch.int32: "Int", torch.int16: "Short", torch.int8: "Char", torch.uint8: "Byte"}


class Rules:
    """Raises what CUDA raises, for tensors that are in `memory`."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def common_device(self, name: str, tensors: Sequence[Tensor], written: Sequence[Tensor] = ()) -> torch.device:
        """Where an operation on `tensors` runs; `written` are those that it changes, which must be there.

        Raises:
            RuntimeError: they are on different devices, other than numbers from the CPU.
        """
        devices = [self.memory.device(tensor) for tensor in tensors]
        cuda = next((device for device in devices if device.type == "cuda"), None)
        if cuda is None:
            return devices[0] if devices else torch.device("cpu")
        changed = {id(tensor) for tensor in written}
        for tensor, device in zip(tensors, devices, strict=True):
            number = device.type == "cpu" and tensor.dim() == 0 and name not in NO_CPU_SCALARS
            if device != cuda and not (number and id(tensor) not in changed):
                raise RuntimeError(
                    f"Expected all tensors to be on the same device, but found at least two devices, {cuda} and "
                    f"{device}! (when checking the arguments of {name})"
                )
        return cuda

    def no_integers(self, name: str, tensors: Sequence[Tensor]) -> None:
        """Raises RuntimeError for a product of integers."""
        kind = next((_SCALAR_NAMES[t.dtype] for t in tensors if t.dtype in _SCALAR_NAMES), None)
        if name in PRODUCTS and kind:
            raise RuntimeError(f'"{name}_cuda" not implemented for {kind!r}')

    def index(self, tensor: Tensor, index: Any) -> bool:
        """Whether `index` holds tensors (advanced indexing). Raises RuntimeError where they are on a wrong device."""
        here, advanced = self.memory.device(tensor), False
        for one in tensors_in(index):
            there = self.memory.device(one)
            if one.dim() == 0 and one.dtype != torch.bool:
                continue  # read as a number
            advanced = True
            if there.type != "cpu" and there != here:
                raise RuntimeError(
                    f"indices should be either on cpu or on the same device as the indexed tensor ({here})"
                )
        return advanced

    def value(self, tensor: Tensor, value: Any) -> None:
        """Raises RuntimeError for a value on another device that is to be written at an index of tensors."""
        here = self.memory.device(tensor)
        for one in tensors_in(value):
            if self.memory.device(one) != here and one.dim() > 0:
                raise RuntimeError(
                    f"Expected all tensors to be on the same device, but found at least two devices, {here} and "
                    f"{self.memory.device(one)}! (when checking the value in index_put_)"
                )

    def generator(self, generator: torch.Generator, device: torch.device) -> None:
        """Raises RuntimeError for random numbers on `device` from another kind of device's generator."""
        if generator.device.type != device.type:
            raise RuntimeError(
                f"Expected a '{device.type}' device type for generator but found '{generator.device.type}'"
            )

    def numpy(self, tensor: Tensor) -> None:
        """Raises TypeError: NumPy reads the host's memory only."""
        here = self.memory.device(tensor)
        if here.type == "cuda":
            raise TypeError(
                f"can't convert {here} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory "
                "first."
            )

    def pin(self, tensor: Tensor) -> None:
        """Raises RuntimeError: the host's memory only can be pinned."""
        if self.memory.device(tensor).type == "cuda":
            raise RuntimeError(f"cannot pin '{self.memory.device(tensor)}' tensor only dense CPU tensors can be pinned")

    def gradient(self, tensor: Tensor, grad: Tensor | None) -> None:
        """Raises RuntimeError for a gradient elsewhere than its tensor."""
        if grad is not None and self.memory.device(grad) != self.memory.device(tensor):
            raise RuntimeError("assigned grad has data located on a different device")

    def copy_to_host(self, non_blocking: bool) -> None:
        """Raises RuntimeError: on a GPU what is read before it has arrived is garbage, without an error."""
        if non_blocking:
            raise RuntimeError("a copy to the host with non_blocking=True is read before it has arrived")
