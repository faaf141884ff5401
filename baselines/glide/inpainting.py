"""Fill a part of an image by a prompt and keep the rest as it is (GLIDE, section 3.2); and a page that shows it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from PIL import Image, ImageDraw
from torch.nn import functional as F

from baselines.diffusion.noise import seeded_generators
from baselines.diffusion.samplers import Known
from baselines.glide.pipeline import diffusion_of, draw, from_pixels, rounded, to_pixels
from baselines.glide.weights import Folder, on_hardware
from baselines.hardware import Hardware
from submission import Competition, MissingPart
from submission.errors import UsageError
from submission.sheet import TILE, spread
from submission.sheet_text import font, legible, wrap

HEADINGS = ("original", "kept", "its own prompt", "another one's prompt")
_HOLE, _INK, _PAGE, _QUIET = 160, "#1d1d1f", "#ffffff", "#77777c"
_MARGIN, _GAP, _LINE, _LINES = 24, 12, 17, 5


class Inpainter:
    """Both inpainting models on one device.

    Args:
        steps, guidance_scale: of the base model; None: the folder's defaults.

    Raises:
        MissingPart: the folder has no model that inpaints.

    Attributes:
        image_size: of the images that it edits.
        total_steps: calls of `on_step` for an image.
    """

    def __init__(
        self, folder: Folder, hardware: Hardware, *, steps: int | None = None, guidance_scale: float | None = None
    ) -> None:
        defaults = folder.config.sampling
        self._device = torch.device(hardware.device)
        self._temperature = defaults.upsample_temperature
        self._guidance_scale = defaults.inpaint_guidance_scale if guidance_scale is None else guidance_scale
        base = folder.config.for_inpainting("base")
        if base is None:
            raise MissingPart("these weights of GLIDE have no base model that inpaints", looked_for=folder.path)
        # A plain upsampler will do: the known pixels are put into what it predicts.
        upsample = folder.config.for_inpainting("upsample") or "upsample"
        self._diffusion = diffusion_of(folder.unet_config(base), str(steps or defaults.steps))
        self._upsample_diffusion = diffusion_of(folder.unet_config(upsample), defaults.upsample_respacing)
        self.image_size = folder.unet_config(upsample).image_size
        self.total_steps = len(self._diffusion) + len(self._upsample_diffusion)
        folder.require(base, upsample)
        self.tokenizer = folder.text_tokenizer()
        self._base = on_hardware(folder.unet(base), hardware)
        self._upsampler = on_hardware(folder.unet(upsample), hardware)

    @torch.no_grad()
    def inpaint(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        fill: Bool[np.ndarray, "h w"],
        prompt: str,
        seed: int,
        on_step: Callable[[], None] = lambda: None,
    ) -> UInt8[np.ndarray, "h w 3"]:
        """`image` with the pixels where `fill` is True drawn anew; every other pixel has the value that it had.

        Raises:
            UsageError: the image is not of the model's size, or the mask not of the image's.
        """
        check_sizes(image, fill, self.image_size)
        large = Known(
            from_pixels(image[None], self._device), torch.from_numpy(~fill).to(self._device).float()[None, None]
        )
        factor = self.image_size // self._base.config.image_size
        # A small pixel is known if all of it is: min-pooling. The average of its pixels is its value then.
        small = Known(F.avg_pool2d(large.image, factor), -F.max_pool2d(-large.mask, factor))
        stage = partial(
            draw, tokenizer=self.tokenizer, prompts=[prompt], generators=seeded_generators([seed]), on_step=on_step
        )
        base = stage(
            self._base, diffusion=self._diffusion, sampler="ancestral", guidance_scale=self._guidance_scale, known=small
        )
        upsampled = stage(
            self._upsampler,
            diffusion=self._upsample_diffusion,
            sampler="ancestral" if self._upsampler.config.inpaint else "ddim",  # as each was made to be sampled
            known=large,
            low_res=rounded(base.clamp(-1, 1)),
            temperature=self._temperature,
        )
        return np.where(fill[..., None], to_pixels(upsampled)[0], image)


def check_sizes(image: np.ndarray, fill: np.ndarray, size: int) -> None:
    """Raises UsageError as `Inpainter.inpaint` says."""
    own, of_mask = (f"{array.shape[1]}×{array.shape[0]}" for array in (image, fill))
    if fill.shape != image.shape[:2]:
        raise UsageError(f"the mask has {of_mask} pixels and the image {own}: they must have the same size")
    if image.shape[:2] != (size, size):
        raise UsageError(f"the image has {own} pixels; these weights draw {size}×{size}: resize image and mask to that")
    if not fill.any():
        raise UsageError("the mask is black everywhere: there is nothing to fill; white marks what to draw anew")


def holes(size: int, index: int) -> Bool[np.ndarray, "size size"]:
    """What is drawn anew of the image number `index`, in turns: the upper half, the right half, the middle, all."""
    at = np.arange(size)
    middle = (at >= size // 4) & (at < size * 3 // 4)
    every = np.ones(size, bool)
    rows, columns = ((at < size // 2, every), (every, at >= size // 2), (middle, middle), (every, every))[index % 4]
    return rows[:, None] & columns[None, :]


def draw_sheet(
    inpainter: Inpainter, competition: Competition, count: int, seed: int, on_step: Callable[[], None]
) -> Image.Image:
    """`count` rows of a competition's references, spread over it; each is filled by its prompt and by the next row's.

    Raises:
        MissingPart: the competition has no references here.
        UsageError: they are not of the size that the weights draw.
    """
    references = competition.references()
    prompts = [competition.prompts[index] for index in spread(len(competition.prompts), count)]
    letters = font(12)
    height = TILE + _LINE * _LINES + _GAP
    lefts = [_MARGIN + column * (TILE + _GAP) for column in range(len(HEADINGS))]
    size = (lefts[-1] + TILE + _MARGIN, 2 * _MARGIN + 2 * _LINE + len(prompts) * height)
    page = Image.new("RGB", size, _PAGE)
    draw = ImageDraw.Draw(page)
    for left, heading in zip(lefts, HEADINGS, strict=True):
        draw.text((left, _MARGIN), heading, font=letters, fill=_QUIET)
    for index, prompt in enumerate(prompts):
        image = references.read(prompt.image_name)
        hole = holes(len(image), index)
        texts = (prompt.text, prompts[(index + 1) % len(prompts)].text)
        filled = [inpainter.inpaint(image, hole, text, seed + index, on_step) for text in texts]
        kept = np.where(hole[..., None], np.uint8(_HOLE), image)
        top = _MARGIN + 2 * _LINE + index * height
        for left, picture in zip(lefts, [image, kept, *filled], strict=True):
            page.paste(Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.NEAREST), (left, top))
        for left, text in zip(lefts[2:], texts, strict=True):
            for number, line in enumerate(wrap(legible(text[:400]), letters, TILE, _LINES)):
                draw.text((left, top + TILE + 4 + number * _LINE), line, font=letters, fill=_INK)
    return page
