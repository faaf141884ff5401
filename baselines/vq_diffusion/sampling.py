"""How VQ-Diffusion draws: from masks to codes, in as many steps as it was trained with or in fewer, and to pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from diffusers import Transformer2DModel, VQDiffusionScheduler, VQModel
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from baselines.diffusion.guidance import classifier_free
from baselines.pixels import to_pixels
from baselines.vq_diffusion.transformer import logits

Codes = Int[Tensor, "b l"]
PerPlace = Float[Tensor, "b l"]

LIKELY = 128  # codes of a place that are looked at before all are


def sample(
    transformer: Transformer2DModel,
    scheduler: VQDiffusionScheduler,
    generators: Sequence[torch.Generator],
    text: Float[Tensor, "b n d"],
    null: Float[Tensor, "n d"],
    *,
    steps: int,
    guidance_scale: float,
    truncation_rate: float,
    purity: float = 0.0,
) -> Codes:
    """The codes of one picture per prompt.

    Args:
        transformer: one that went through `with_time_per_image`.
        generators: one random stream on the CPU per picture, which each gives the same share of numbers at every step.
        text: every token's state of each prompt.
        null: what stands for no prompt.
        steps: calls of the transformer, at most the scheduler's num_train_timesteps.
        guidance_scale: 1 draws by the prompt alone; above, away from no prompt: log p(x0 | none) +
            s (log p(x0 | prompt) - log p(x0 | none)) (Tang et al., Improved VQ-Diffusion, arXiv 2205.16007).
        truncation_rate: in (0, 1]: of each place's codes only the most likely ones that make up this probability (Gu
            et al., arXiv 2111.14822).
        purity: how much rather than any other masked place one that the transformer is sure of leaves the mask first,
            at least 0 (Tang et al., section 3.2: the exponent of the purity prior); 0: all are as likely (Gu et al.).
    """

    def network(codes: Tensor, t: Tensor, text: Tensor) -> Tensor:
        # The softmax's own normalisation makes logits as good as log-probabilities.
        return logits(transformer, codes, t, text).float()

    def uniform(count: int) -> Float[Tensor, "n b l"]:
        draws = [torch.rand(count, transformer.num_latent_pixels, generator=generator) for generator in generators]
        return torch.stack(draws, 1).to(text.device)

    outcome = classifier_free(network, [text], [null], guidance_scale)
    codes = draw_last(scheduler, *uniform(2))
    times = [*(scheduler.config.num_train_timesteps * step // steps - 1 for step in range(steps, 0, -1)), None]
    for time, next_time in pairwise(times):
        probability = outcome(codes, torch.full((len(text),), time, device=text.device)).softmax(-1)
        for_x0, *others = uniform(4 if purity else 3)
        x0 = draw_truncated(probability, truncation_rate, for_x0)
        if next_time is None:
            return x0
        earlier = draw_earlier(scheduler, time, next_time, codes, x0, *others[:2])
        if purity:
            log_weight = purity * probability.amax(-1).log()
            earlier = unmask_purest(codes, earlier, x0, log_weight, others[2], scheduler.mask_class)
        codes = earlier
    return codes


def unmask_purest(codes: Codes, earlier: Codes, x0: Codes, log_weight: PerPlace, uniform: PerPlace, mask: int) -> Codes:
    """`earlier` with as many places out of the mask, but others, which become x0.

    They are drawn without replacement by their weights: those with the largest sums of log weight and Gumbel noise
    (Kool et al., arXiv 1903.06059), which is made of a uniform number in [0, 1) each.
    """
    masked = codes == mask
    leaving = (masked & (earlier != mask)).sum(-1, keepdim=True)
    gumbel = -(-uniform.clamp(1e-20, 1 - 2**-24).log()).log()
    rank = (log_weight + gumbel).masked_fill(~masked, -torch.inf).argsort(-1, descending=True).argsort(-1)
    return torch.where(masked, torch.where(rank < leaving, x0, codes), earlier)


def decode(vqvae: VQModel, codes: Codes) -> UInt8[Tensor, "b 3 h w"]:
    """The picture of each row of codes, which go through it line by line; any picture is square."""
    return to_pixels(decode_values(vqvae, codes))


def decode_values(vqvae: VQModel, codes: Codes) -> Float[Tensor, "b 3 h w"]:
    """As `decode`, in about -1 … 1, with gradients."""
    size = round(codes.shape[1] ** 0.5)
    quantized = vqvae.quantize.embedding(codes.view(-1, size, size)).permute(0, 3, 1, 2)
    picture: Tensor = vqvae.decode(quantized, force_not_quantize=True).sample
    return picture


def draw_last(scheduler: VQDiffusionScheduler, which: PerPlace, other: PerPlace) -> Codes:
    """x_T from its prior by two uniform numbers in [0, 1) per place: the mask, or seldom any code."""
    mask = scheduler.mask_class
    return torch.where(which < scheduler.log_cumprod_ct[-2].exp().item(), mask, any_code(other, mask))


def any_code(uniform: PerPlace, count: int) -> Codes:
    """One of `count` codes, each as likely, for each number in [0, 1)."""
    return (uniform * count).long().clamp(max=count - 1)  # the product may round up to `count`


def draw_truncated(probability: Float[Tensor, "b l k"], truncation_rate: float, uniform: PerPlace) -> Codes:
    """One code per place by the uniform number in [0, 1) there, among the most likely that make up `truncation_rate`.

    As in diffusers' pipeline the code with which the sum of probabilities crosses the rate is still one of them.
    """
    # The largest few often make it up, and are found in a quarter of the time that sorting takes.
    likely, order = probability.topk(min(LIKELY, probability.shape[-1]))
    codes, short = _draw_sorted(likely, order, truncation_rate, uniform)
    if short.any():
        likely, order = probability[short].sort(dim=-1, descending=True)
        codes[short], _ = _draw_sorted(likely, order, truncation_rate, uniform[short])
    return codes


def _draw_sorted(
    likely: Float[Tensor, "*p k"], order: Int[Tensor, "*p k"], truncation_rate: float, uniform: Float[Tensor, "*p"]
) -> tuple[Int[Tensor, "*p"], Bool[Tensor, "*p"]]:
    """As `draw_truncated`, among codes `order`, the likeliest first; and where all these sum to less than the rate."""
    cumulative = likely.cumsum(-1)
    # The sum of what is kept: the first sum that is not below the rate.
    last = (cumulative < truncation_rate).sum(-1, keepdim=True)
    short = last.squeeze(-1) == likely.shape[-1]
    last = last.clamp(max=likely.shape[-1] - 1)
    rank = (cumulative <= uniform[..., None] * cumulative.gather(-1, last)).sum(-1, keepdim=True)
    return order.gather(-1, torch.minimum(rank, last)).squeeze(-1), short


def draw_earlier(
    scheduler: VQDiffusionScheduler, t: int, s: int, codes: Codes, x0: Codes, which: PerPlace, other: PerPlace
) -> Codes:
    """x_s ~ q(x_s | x_t = codes, x0), 0 <= s < t, by two uniform numbers in [0, 1) per place.

    With x0 drawn from p(x0 | x_t) it has the distribution p(x_s | x_t) of equation 11 of Gu et al. (arXiv 2111.14822),
    the one that VQDiffusionScheduler.step draws from where s = t - 1, without its sum over all codes; any earlier s is
    their fast inference. By equation 5, q(x_s) ~ (a [x_s = x_t] + b) (A [x_s = x0] + B) with a, b of the steps from s
    to t and A, B of those up to s; that product's terms are masses on x_t, on x0 and on all codes alike. Where x_t is
    the mask, a is 0, b is the probability of becoming masked, and the mask itself has the mass C.
    """
    tables = (scheduler.log_cumprod_at, scheduler.log_cumprod_bt, scheduler.log_cumprod_ct)
    a_t, b_t, c_t = (table[t].exp().item() for table in tables)
    a_s, b_s, c_s = (table[s].exp().item() for table in tables)
    count = scheduler.num_embed - 1
    a, c = a_t / a_s, 1 - (1 - c_t) / (1 - c_s)
    # (1 - a - c) / count would be all rounding where codes are hardly ever replaced.
    b = max(0.0, b_t - a * b_s) / (1 - c_s)
    masked = codes == scheduler.mask_class
    arrive = torch.where(masked, c, b)
    masses = torch.stack(
        [
            torch.where(masked, c_s, a * (b_s + a_s * (codes == x0))),  # stay what it is
            arrive * a_s,  # be x0
            arrive * b_s * count,  # be any code
        ]
    ).cumsum(0)
    point = which * masses[-1]
    return torch.where(point < masses[0], codes, torch.where(point < masses[1], x0, any_code(other, count)))
