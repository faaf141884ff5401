"""What a generator may return, and that the advice for the rest works as it is printed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from baselines import returned

COUNT = 4
TRUE = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 12, 3), dtype=np.uint8)
TRUE[0, 0, 0], TRUE[0, 0, 1] = 0, 255

RANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "0 to 1": lambda pixels: (pixels / 255).astype(np.float32),
    "0 to 1 in float64": lambda pixels: pixels / 255,
    "-1 to 1": lambda pixels: (pixels / 127.5 - 1).astype(np.float32),
    "-1 to 1 and over": lambda pixels: (np.where(pixels == 255, 1.2, pixels / 127.5 - 1)).astype(np.float32),
    "0 to 255": lambda pixels: pixels.astype(np.float32),
    "0 to 255 and over": lambda pixels: np.where(pixels == 0, -3.5, pixels).astype(np.float32),
    "0 to 255 in int64": lambda pixels: pixels.astype(np.int64),
    "uint8": lambda pixels: pixels,
}
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "channels last": lambda images: images,
    "channels first": lambda images: images.transpose(0, 3, 1, 2).copy(),
    "with alpha": lambda images: np.concatenate([images, images[..., :1]], axis=-1),
    "with alpha first": lambda images: np.concatenate([images, images[..., :1]], axis=-1).transpose(0, 3, 1, 2).copy(),
}
CONTAINERS: dict[str, Callable[[np.ndarray], object]] = {
    "array": lambda images: images,
    "tensor": torch.from_numpy,
    "tensor that was being trained": lambda images: (
        torch.from_numpy(images).requires_grad_() if images.dtype.kind == "f" else torch.from_numpy(images)
    ),
    "list of arrays": list,
    "tuple of tensors": lambda images: tuple(map(torch.from_numpy, images)),
}


@pytest.mark.parametrize("values", RANGES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_the_advice_mends_everything_at_once(values: str, layout: str, container: str) -> None:
    images = CONTAINERS[container](LAYOUTS[layout](RANGES[values](TRUE)))
    try:
        mended = returned.as_array(images, COUNT)
    except returned.Refused as refused:
        mended = returned.as_array(eval(refused.hint, {"np": np, "torch": torch, "images": images}), COUNT)
    else:
        assert (values, layout, container) == ("uint8", "channels last", "array")
    assert np.array_equal(mended, TRUE)


@pytest.mark.parametrize("shape", [(COUNT, 8, 12), (COUNT, 8, 12, 1), (COUNT, 1, 8, 12)])
@pytest.mark.parametrize("container", ["array", "tensor"])
def test_grey_becomes_rgb(shape: tuple[int, ...], container: str) -> None:
    images = CONTAINERS[container]((TRUE[..., 0] / 255).astype(np.float32).reshape(shape))
    with pytest.raises(returned.Refused) as caught:
        returned.as_array(images, COUNT)
    mended = returned.as_array(eval(caught.value.hint, {"np": np, "images": images}), COUNT)
    assert np.array_equal(mended, np.repeat(TRUE[..., :1], 3, axis=-1))


@pytest.mark.parametrize("first", [False, True])
def test_one_image_for_one_prompt_lacks_an_axis(first: bool) -> None:
    images = TRUE[0].transpose(2, 0, 1) if first else TRUE[0]
    with pytest.raises(returned.Refused) as caught:
        returned.as_array(images, 1)
    assert np.array_equal(returned.as_array(eval(caught.value.hint, {"images": images}), 1), TRUE[:1])


def test_a_half_precision_tensor_is_mended_too() -> None:
    images = torch.from_numpy(TRUE).permute(0, 3, 1, 2).to(torch.bfloat16) / 127.5 - 1
    with pytest.raises(returned.Refused, match=r"torch\.Tensor with values of type bfloat16 from -1 to 1") as caught:
        returned.as_array(images, COUNT)
    mended = returned.as_array(eval(caught.value.hint, {"images": images}), COUNT)
    assert np.abs(mended.astype(int) - TRUE).max() <= 1  # bfloat16 has 8 bits


@pytest.mark.parametrize("container", [list, tuple])
def test_pil_images_are_taken(container: type) -> None:
    assert np.array_equal(returned.as_array(container(map(Image.fromarray, TRUE)), COUNT), TRUE)


def test_pil_images_of_another_mode_become_rgb() -> None:
    images = [Image.fromarray(image).convert("RGBA") for image in TRUE]
    with pytest.raises(returned.Refused, match="mode RGBA") as caught:
        returned.as_array(images, COUNT)
    assert np.array_equal(returned.as_array(eval(caught.value.hint, {"images": images}), COUNT), TRUE)


class Output:
    """As a pipeline of diffusers returns it."""

    def __init__(self) -> None:
        self.images = list(map(Image.fromarray, TRUE))


@pytest.mark.parametrize(
    ("images", "what", "hint"),
    [
        ([Image.new("RGB", (8, 8)), Image.new("RGB", (8, 9))] * 2, "2 sizes, such as 8×8 and 8×9", "one size"),
        ([Image.new("RGB", (8, 8))] * 3, "3 images for 4 prompts", "every prompt"),
        ([], "an empty list", "every prompt"),
        (Image.new("RGB", (8, 8)), "PIL.Image.Image", "a list of them"),
        (Output(), "Output", "output.images"),
        ((image for image in TRUE), "generator", "not yield"),
        ([TRUE[0], TRUE[0, :4]] * 2, "2 shapes", "one shape"),
        ([[0.5, 0.5, 0.5]] * 4, "a list of list", "np.stack"),
        (np.full((4, 8, 8, 3), np.nan), "with NaN or infinity", "overflowed"),
        (torch.full((4, 3, 8, 8), np.inf), "with NaN or infinity", "overflowed"),
        (np.linspace(-500, 900, 4 * 64 * 3).reshape(4, 8, 8, 3), "from -500 to 900", "none of 0 … 1"),
        (np.zeros((2, 8, 8, 3)), "the shape (2, 8, 8, 3)", "every prompt"),
        (np.zeros((4, 8, 8, 2)), "the shape (4, 8, 8, 2)", "every prompt"),
        (np.array([None] * 4), "object", "np.stack"),
        ("drawn", "a str", "np.asarray"),
    ],
)
def test_the_rest_is_told_what_it_is(images: object, what: str, hint: str) -> None:
    with pytest.raises(returned.Refused) as caught:
        returned.as_array(images, COUNT)
    assert what in caught.value.what
    assert hint in caught.value.hint
