"""What generators return: what is taken as it is, and one piece of code that makes the rest right.

Taken are uint8 arrays (B, H, W, 3) and lists of PIL images in RGB, which is what diffusers returns. Anything else is
refused once, with an expression that mends type, range and layout together.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PIL import Image

_SHAPE_HINT = "one RGB image for every prompt, stacked: (B, height, width, 3)"


class Refused(ValueError):
    """What was returned (`what`) and what to do (`hint`)."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


def as_array(images: object, count: int) -> np.ndarray:
    """`images` as uint8 (count, H, W, 3). Raises Refused."""
    if images is None:
        raise Refused("None", "end generate with a return")
    if isinstance(images, list | tuple) and images and all(isinstance(image, Image.Image) for image in images):
        images = _from_pil(images)
    elif not isinstance(images, np.ndarray):
        raise _refused_kind(images, count)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape:
        raise _refused_array(images, count, "images", f"values of type {images.dtype}")
    if len(images) != count:
        raise Refused(f"{len(images)} images for {count} prompts", "one image for every prompt, in their order")
    return images


def _from_pil(images: list[Image.Image] | tuple[Image.Image, ...]) -> np.ndarray:
    modes, sizes = sorted({image.mode for image in images}), sorted({image.size for image in images})
    if modes != ["RGB"]:
        of = "" if len(sizes) == 1 else " and of different sizes"
        hint = '[image.convert("RGB") for image in images]'
        raise Refused(f"PIL images of mode {', '.join(modes)}{of}", hint)
    if len(sizes) > 1:
        raise Refused(
            f"images of {len(sizes)} sizes, such as {sizes[0][0]}×{sizes[0][1]} and {sizes[1][0]}×{sizes[1][1]}",
            "[image.resize(images[0].size) for image in images], or draw all in one size",
        )
    return np.stack([np.asarray(image) for image in images])


def _refused_kind(images: object, count: int) -> Refused:
    """What is neither an array nor a list of PIL images."""
    kind = _kind(images)
    if kind.startswith("torch."):
        return _refused_array(images, count, "images", f"a {kind} with values of type {_dtype(images)}")
    if isinstance(images, list | tuple):
        return _refused_list(images, count, kind)
    if hasattr(images, "images"):  # a pipeline's output of diffusers
        return Refused(f"a {kind}", "its images: return output.images")
    if isinstance(images, Image.Image):
        return Refused(f"a {kind}", "a list of them, one for every prompt, in their order")
    if hasattr(images, "__next__"):
        return Refused(f"a {kind}", "a list: return [...], not yield")
    return Refused(f"a {kind}", "np.asarray(images), if it is one array: " + _SHAPE_HINT)


def _refused_list(images: list[Any] | tuple[Any, ...], count: int, kind: str) -> Refused:
    if not images:
        return Refused(f"an empty {kind}", "one image for every prompt, in their order")
    kinds = sorted({_kind(image) for image in images})
    what = f"a {kind} of {' and '.join(kinds)}"
    shapes = sorted({str(tuple(getattr(image, "shape", ()))) for image in images})
    if len(kinds) > 1 or shapes == ["()"]:
        return Refused(what, "np.stack([np.asarray(image) for image in images])")
    if len(shapes) > 1:
        return Refused(f"{what} of {len(shapes)} shapes, such as {shapes[0]} and {shapes[1]}", "draw all in one shape")
    if kinds[0].startswith("torch."):
        import torch

        return _refused_array(torch.stack(list(images)), count, "torch.stack(images)", what)
    stacked = np.stack([np.asarray(image) for image in images])
    return _refused_array(stacked, count, "np.stack(images)", f"{what} with values of type {stacked.dtype}")


def _refused_array(images: Any, count: int, name: str, what: str) -> Refused:
    """An array or tensor that lacks something: all that it lacks in one expression. `name` is how to write it."""
    shape = tuple(images.shape)
    found = f"{what} and the shape {shape}"
    if 0 in shape:
        return Refused(found, _SHAPE_HINT)
    if _dtype(images) == "object":
        return Refused(found, "np.stack([np.asarray(image) for image in images])")
    values = images.detach() if _is_torch(images) else images
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        return Refused(
            f"{found}, with NaN or infinity among them",
            "the network's numbers overflowed: compute in float32, and look at them before they become pixels",
        )
    if _dtype(images) != "uint8":
        found = f"{what} from {low:.4g} to {high:.4g} and the shape {shape}"
    code = _values(name, images, low, high)
    if code is None:
        return Refused(found, f"bring them to 0 … 255 first: they are none of 0 … 1, -1 … 1, 0 … 255; {_SHAPE_HINT}")
    mended = _layout(code, shape, count)
    return Refused(found, mended or (f"{code}, and {_SHAPE_HINT}" if code != name else _SHAPE_HINT))


def _values(name: str, images: Any, low: float, high: float) -> str | None:
    """Code that brings the values to uint8, by their range: what a network draws overshoots a little."""
    is_torch, dtype = _is_torch(images), _dtype(images)
    if dtype == "uint8":
        return f"{name}.cpu().numpy()" if is_torch else name
    to_bytes = ".clamp(0, 255).byte().cpu().numpy()" if is_torch else ".clip(0, 255).astype(np.uint8)"
    if dtype == "bool":
        return f"({name} * 255){'.byte().cpu().numpy()' if is_torch else '.astype(np.uint8)'}"
    if "int" in dtype:
        return f"{name}{to_bytes}" if low >= 0 and high <= 255 else None
    floats = f"{name}.detach().float()" if is_torch else name
    if low >= -0.25 and high <= 1.5:
        return f"({floats} * 255).round(){to_bytes}"
    if low >= -1.5 and high <= 1.5:
        return f"(({floats} + 1) * 127.5).round(){to_bytes}"
    return f"{floats}.round(){to_bytes}" if low >= -16 and high <= 271 else None


def _layout(code: str, shape: tuple[int, ...], count: int) -> str | None:
    """`code` and what brings an array of this shape to (count, H, W, 3); None where that is not plain."""
    if len(shape) == 3 and count == 1 and 3 in (shape[0], shape[-1]):
        return _layout(f"{code}[None]", (1, *shape), count)
    if len(shape) == 3 and shape[0] == count:
        return f"np.repeat({code}[..., None], 3, axis=-1)"
    if len(shape) != 4 or shape[0] != count:
        return None
    if shape[-1] not in (1, 3, 4):
        if shape[1] not in (1, 3, 4):
            return None
        code, shape = f"{code}.transpose(0, 2, 3, 1)", (shape[0], *shape[2:], shape[1])
    return {3: code, 4: f"{code}[..., :3]", 1: f"np.repeat({code}, 3, axis=-1)"}[shape[-1]]


def _is_torch(images: object) -> bool:
    return _kind(images).startswith("torch.")


def _dtype(images: Any) -> str:
    return str(images.dtype).removeprefix("torch.")


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
