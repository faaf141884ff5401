"""From noise to latents: what the UNet predicts, guided by the prompt, around any solver that draws no noise itself."""

from __future__ import annotations

from diffusers import SchedulerMixin, UNet2DConditionModel
from jaxtyping import Float, Float32
from torch import Tensor

from baselines.diffusion.guidance import classifier_free
from baselines.diffusion.solver import solve


def denoise(
    unet: UNet2DConditionModel,
    scheduler: SchedulerMixin,
    noise: Float32[Tensor, "b c h w"],
    text: Float[Tensor, "b l d"],
    empty: Float[Tensor, "1 l d"],
    *,
    steps: int,
    guidance_scale: float,
) -> Float32[Tensor, "b c h w"]:
    """Latents (not yet divided by the scaling factor), drawn from standard normal `noise`.

    Args:
        text: hidden states of each prompt's tokens, in the precision that the network computes in.
        empty: the same of the empty prompt, which stands for no prompt.
        steps: calls of the network.
        guidance_scale: 1 draws by the prompt alone.
    """

    def network(x: Tensor, t: Tensor, states: Tensor) -> Tensor:
        output: Tensor = unet(x.to(states.dtype), t, encoder_hidden_states=states).sample
        return output.float()

    return solve(scheduler, classifier_free(network, [text], [empty], guidance_scale), noise, steps)
