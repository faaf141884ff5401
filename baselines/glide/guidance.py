"""What pulls a sample towards its prompt: classifier-free guidance of eps, and the gradient of a noised CLIP."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from baselines.diffusion.samplers import Denoiser, Gradient
from baselines.glide.noised_clip import NoisedClip
from baselines.glide.text_transformer import TextStates
from baselines.glide.unet import UNet


def conditional(unet: UNet, text: TextStates, **conditions: Tensor | None) -> Denoiser:
    """No guidance: the model as it is, given the prompts and, by keyword, `known` and `low_res`."""
    return lambda x, timesteps: unet(x, timesteps, text, **conditions)


def classifier_free(
    unet: UNet, text: TextStates, empty: TextStates, scale: float, **conditions: Tensor | None
) -> Denoiser:
    """Away from the empty prompt: eps = u + scale (c - u) (GLIDE, equation 4). The variance stays the prompt's.

    Args:
        text: of each prompt (b).
        empty: of the empty prompt (1).
        scale: 1 is no guidance, and costs one call of the model instead of two.
    """
    if scale == 1:
        return conditional(unet, text, **conditions)
    both = TextStates(*(torch.cat([one, none.expand_as(one)]) for one, none in zip(text, empty, strict=True)))
    doubled = {name: None if value is None else torch.cat([value, value]) for name, value in conditions.items()}

    def denoise(x: Tensor, timesteps: Tensor) -> Tensor:
        output = unet(torch.cat([x, x]), torch.cat([timesteps, timesteps]), both, **doubled)
        with_prompt, without = output.chunk(2)
        eps, unguided = with_prompt[:, :3], without[:, :3]
        return torch.cat([unguided + scale * (eps - unguided), with_prompt[:, 3:]], dim=1)

    return denoise


def clip_gradient(clip: NoisedClip, text: Float[Tensor, "b embed"], scale: float) -> Gradient:
    """scale ∇ (f(x_t, t) · g(prompt)), with CLIP's logit scale (GLIDE, equation 6). `text` is of length 1."""

    def gradient(x: Tensor, timesteps: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            similarity = (clip.embed_images(x, timesteps) * text).sum() * clip.config.logit_scale
            return scale * torch.autograd.grad(similarity, x)[0]

    return gradient
