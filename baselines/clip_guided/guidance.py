"""What a guide pulls a sample with: the gradient of how well it fits the prompt, by x_t."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from baselines.clip_guided.guide import Guide
from baselines.diffusion.process import Diffusion
from baselines.diffusion.samplers import Gradient


def normalised(guide: Guide, text: Float[Tensor, "b embed"], process: Diffusion, scale: float) -> Gradient:
    """scale exp(logit scale) ∇ f · (g(prompt) − ḡ) / |f| (GLIDE, arXiv 2112.10741, equation 6), |g| = 1.

    ḡ is what all texts have in common, so that an image is pulled by what sets its prompt apart from others, as between
    two texts in StyleGAN-NADA (Gal et al., arXiv 2108.00946, section 4.1). Zero: GLIDE's form, CLIP's cosine.

    A noised guide is given x_t and t. Any other was never trained on noise and is given the x0 that the diffusion
    predicts, clipped to the range of pictures. The prediction is taken as sqrt(alphas_cumprod) x_t plus a constant,
    the velocity at hand: this spares the way back through the UNet, and its slope falls with the noise, where
    1 / sqrt(alphas_cumprod), a constant eps, would explode.

    Args:
        text: the prompts' features, not normalised.
        scale: 1 is the gradient of the guide's own logits.
    """
    text = functional.normalize(text, dim=1) - guide.text_mean

    def gradient(x: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        if guide.config.noised:
            timesteps = process.train_timesteps(t)
            slope = _gradient(x, lambda x_t: _along(guide.image_features(x_t, timesteps), text))
        else:
            slope = _gradient(x0, lambda x0: _along(guide.image_features(x0), text)) * process.signal_and_spread(t)[0]
        return scale * guide.scale.detach() * slope

    return gradient


def raw(guide: Guide, text: Float[Tensor, "b embed"], process: Diffusion, scale: float) -> Gradient:
    """scale ∇ (f(x_t) · g(prompt)) of features as they are, on x_t whether the guide has seen noise or not.

    The form in which CLIP guidance is often first written down. Its strength changes with the length of the features,
    and a longer feature is as good as a better one.
    """

    def gradient(x: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        timesteps = process.train_timesteps(t) if guide.config.noised else None
        return scale * _gradient(x, lambda x_t: (guide.image_features(x_t, timesteps) * text).sum(dim=1))

    return gradient


def together(gradients: Sequence[Gradient]) -> Gradient:
    """The sum of what several guides pull with: that of the logarithm of the product of what they say."""

    def gradient(x: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        first, *others = (each(x, t, x0) for each in gradients)
        return sum(others, first)

    return gradient


def _along(image: Tensor, text: Tensor) -> Float[Tensor, " b"]:
    """The image's direction against the text: the cosine of both where `text` has length 1."""
    return (functional.normalize(image, dim=1) * text).sum(dim=1)


def _gradient(x: Tensor, similarity: Callable[[Tensor], Float[Tensor, " b"]]) -> Tensor:
    """Of each image's similarity by that image: the sum's gradient, because no image looks at another."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(similarity(x).sum(), x)[0]
