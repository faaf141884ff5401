"""The whole recipe of a text-to-image latent diffusion model as one loss; every element does what its name says.

The course's recipe (Weng, 2025) is squared error, then LPIPS as well, then a Kullback-Leibler term; there neither of
the two had a gradient. Here each reaches the network through its estimate of x_0. Every other element is a switch.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from baselines.training import denoising
from baselines.training.augmentation import augmented, draw_changes
from baselines.training.batches import to_device
from baselines.training.denoising import Latents, PerExample, Prediction
from baselines.training.latents import Autocast, Encoded, posterior
from baselines.training.losses import drop_mask, stratified_timesteps
from baselines.training.options import option
from baselines.training.perceptual import FeatureNetwork, perceptual_distance
from baselines.training.pictures import Frames

FROM = ", from this fraction of the training on (0: its start; none: never)"


@dataclass(frozen=True)
class Objective:
    """The elements of the recipe. Fractions named `_from` are of the training: 0 from its start, none never."""

    prediction: Prediction = option("v_prediction", "what the network predicts")
    min_snr_gamma: float | None = option(None, "min-SNR weights of the times; none: all alike")
    least_weight: float = option(0.0, "of a time, where they are weighted")
    caption_dropout: float = option(0.1, "fraction of examples without caption, for classifier-free guidance", most=1.0)
    pooled_dropout: float = option(0.0, "of the others, fraction without the pooled state", most=1.0)
    random_caption: bool = option(True, "at each visit one of the captions; else always the first")
    flips: bool = option(True, "half of the pictures mirrored")
    augment_from: float | None = option(None, f"strong augmentation{FROM}", most=1.0)
    perceptual_from: float | None = option(None, f"LPIPS of the decoded estimate of x_0{FROM}", most=1.0)
    perceptual_weight: float = option(0.1, "of LPIPS")
    perceptual_fraction: float = option(
        0.25, "of a batch for LPIPS: the least noised, whose estimate is a picture", most=1.0
    )
    kl_from: float | None = option(None, f"divergence of x_0's estimate from the posterior{FROM}", most=1.0)
    kl_weight: float = option(0.01, "of the divergence")
    alignment_weight: float = option(0.0, "of the alignment of the network's middle with perceptual features")

    def needs_features(self) -> bool:
        return self.perceptual_from is not None or self.alignment_weight > 0


class Denoiser(nn.Module):
    """A UNet, and while it is aligned the projection of its middle to another network's `alignment_width` features."""

    def __init__(self, unet: UNet2DConditionModel, alignment_width: int | None = None) -> None:
        super().__init__()
        self.unet = unet
        self.projection = None
        self._middle: Tensor | None = None
        if alignment_width is not None:
            width = unet.config.block_out_channels[-1]
            self.projection = nn.Sequential(
                nn.Conv2d(width, 2 * width, 1), nn.SiLU(), nn.Conv2d(2 * width, alignment_width, 1)
            )
            unet.mid_block.register_forward_hook(self._keep)

    def _keep(self, block: nn.Module, inputs: object, output: Tensor) -> None:
        self._middle = output

    def forward(
        self, x: Latents, t: Int64[Tensor, " b"], hidden: Float32[Tensor, "b l d"], pooled: Float32[Tensor, "b d"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b a i j"] | None]:
        """The network's output, and where it is aligned its projected middle."""
        output = self.unet(x, t, hidden, class_labels=pooled).sample
        return output, None if self.projection is None else self.projection(self._middle)


def alignment_loss(middle: Float[Tensor, "b a i j"], features: Float[Tensor, "b a h w"]) -> Float32[Tensor, ""]:
    """1 − cosine of each place's projection and the features there (REPA: Yu et al., arXiv 2410.06940, equation 8).

    Of a UNet it is the middle that is aligned (U-REPA: Tian et al., arXiv 2503.18414, section 3).
    """
    height, width = middle.shape[2:]
    wanted = functional.adaptive_avg_pool2d(features.float(), (height, width))
    return 1 - functional.cosine_similarity(middle.float(), wanted, dim=1).mean()


def perceptual_loss(autoencoder: AutoencoderKL, network: FeatureNetwork, estimate: Latents, x0: Latents) -> PerExample:
    """Distance of what is decoded from an estimate of x_0 and from x_0 itself, latents as they are scaled.

    What the autoencoder loses is in both, so that the loss is 0 where the estimate is right.
    """
    factor = autoencoder.config.scaling_factor
    with torch.no_grad():
        target = autoencoder.decode(x0 / factor).sample
    return perceptual_distance(network, autoencoder.decode(estimate / factor).sample, target)


@dataclass(eq=False)
class DenoisingLoss:
    """`Objective` as the trainer's loss, of a `Denoiser` on an encoded training set.

    Args:
        alphas_cumprod: of the schedule that samples.
        autocast: the context in which networks compute.
        autoencoder: frozen, in evaluation mode; needed for LPIPS and augmentation.
        perceptual: frozen; needed for LPIPS and alignment.
        pictures: uint8 (n, 3, h, w), or what reads them when asked; needed for augmentation and alignment.
        process: this one's number, and how many there are. Each draws the whole batch's random numbers (from the same
            generator: `SharedSchedule`) and takes its own, so that their mean gradient is that of one process.
    """

    objective: Objective
    data: Encoded
    alphas_cumprod: Float32[Tensor, " T"]
    _: KW_ONLY
    device: torch.device
    autocast: Autocast
    autoencoder: AutoencoderKL | None = None
    perceptual: FeatureNetwork | None = None
    pictures: Tensor | Frames | None = None
    process: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        self.alphas_cumprod = self.alphas_cumprod.to(self.device)
        self.empty = tuple(table.to(self.device) for table in self.data.empty)

    def __call__(
        self, model: nn.Module, indices: Int64[Tensor, " b"], generator: torch.Generator, done: float
    ) -> tuple[Float32[Tensor, ""], dict[str, Tensor]]:
        """The loss of these examples at the fraction `done` of the training, and each of its terms unweighted."""
        asked = self.objective
        first, count = self.process
        own, total = slice(first, None, count), len(indices) * count
        flip = (torch.rand(total, generator=generator) < 0.5)[own] & asked.flips
        images = None
        if _begun(asked.augment_from, done):
            images = augmented(self._pixels(indices, flip), draw_changes(total, generator)[:, own])
            with torch.no_grad(), self.autocast():
                x0, std = posterior(self.autoencoder, images)
        else:
            where = self.data.latents.device
            mean_and_std = self.data.latents[indices.to(where), flip.long().to(where)].to(self.device).float()
            x0, std = mean_and_std.unbind(1)
        hidden, pooled = self._text(indices, generator)
        times = to_device(stratified_timesteps(total, len(self.alphas_cumprod), generator), self.device)
        noise = to_device(torch.randn(total, *x0.shape[1:], generator=generator)[own], self.device)
        every_a = self.alphas_cumprod[times]  # of the whole batch
        t, a = times[own], every_a[own]
        x_t = denoising.q_sample(x0, noise, a)
        with self.autocast():
            output, middle = model(x_t, t, hidden, pooled)
        output = output.float()
        weight = None
        if asked.min_snr_gamma is not None:
            weights = denoising.min_snr_weight(asked.prediction, every_a, asked.min_snr_gamma)
            weights = weights.clamp(min=asked.least_weight)
            weight = weights[own] / weights.mean()
        loss = mse = denoising.denoising_loss(output, denoising.target_of(asked.prediction, x0, noise, a), weight)
        terms = {"mse": mse}
        estimate = denoising.x0_of(asked.prediction, output, x_t, a)
        if _begun(asked.perceptual_from, done):
            every_picked = denoising.least_noised(every_a, asked.perceptual_fraction)
            picked = every_picked[every_picked % count == first] // count
            distance = torch.zeros((), device=self.device)  # where none of them is this process's
            if len(picked):
                assert self.perceptual is not None
                with self.autocast():
                    distance = perceptual_loss(self.autoencoder, self.perceptual, estimate[picked], x0[picked]).sum()
            terms["perceptual"] = distance * (count / len(every_picked))
            loss = loss + asked.perceptual_weight * terms["perceptual"]
        if _begun(asked.kl_from, done):
            # An estimate by the noise errs with 1/√ᾱ: unscaled, the noisiest times would drown all others.
            scale = a.sqrt().view(-1, 1, 1, 1) if asked.prediction == "epsilon" else 1.0
            terms["kl"] = denoising.posterior_kl(scale * estimate, scale * x0, std)
            loss = loss + asked.kl_weight * terms["kl"]
        if asked.alignment_weight:
            if images is None:
                images = self._pixels(indices, flip).float() / 127.5 - 1
            assert self.perceptual is not None
            with torch.no_grad(), self.autocast():
                features = self.perceptual.features(images)[-1]
            terms["alignment"] = alignment_loss(middle, features)
            loss = loss + asked.alignment_weight * terms["alignment"]
        return loss, {name: term.detach() for name, term in terms.items()}

    def _pixels(self, indices: Tensor, flip: Tensor) -> Tensor:
        assert self.pictures is not None
        images = self.pictures[indices].to(self.device)
        return torch.where(flip.to(self.device)[:, None, None, None], images.flip(3), images)

    def _text(self, indices: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The text states of a caption of each picture; those of no caption for some, by the objective's fractions."""
        asked, where = self.objective, self.data.hidden.device
        first, count = self.process
        chosen = torch.rand(len(indices) * count, generator=generator)[first::count]
        picked = self.data.pick(indices, chosen if asked.random_caption else None).to(where)
        hidden, pooled = (table[picked].to(self.device).float() for table in (self.data.hidden, self.data.pooled))
        fractions = asked.caption_dropout, asked.pooled_dropout
        no_caption, no_pooled = (
            drop_mask(len(indices) * count, f, generator)[first::count].to(self.device) for f in fractions
        )
        hidden = torch.where(no_caption[:, None, None], self.empty[0], hidden)
        return hidden, torch.where((no_caption | no_pooled)[:, None], self.empty[1], pooled)


def _begun(since: float | None, done: float) -> bool:
    return since is not None and done >= since
