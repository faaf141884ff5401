"""Each term of the recipe: its gradient reaches the UNet, and vanishes where the network is right."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch import Tensor, nn

from baselines.monster import train_autoencoder
from baselines.monster.sampling import NOISE_SCHEDULE
from baselines.monster.train_unet import UNetOptions
from baselines.stable_diffusion.train import build
from baselines.training.denoising import target_of
from baselines.training.latents import Encoded, posterior
from baselines.training.objective import Denoiser, DenoisingLoss, Objective
from baselines.training.perceptual import PerceptualNetwork

ALPHAS_CUMPROD = DDPMScheduler(**NOISE_SCHEDULE).alphas_cumprod
BATCH, WIDTH, CAPTION_WIDTH = 4, 8, 8
Parts = tuple[AutoencoderKL, PerceptualNetwork, Tensor]
# The plain recipe and each of its terms, with the weight of the squared error out of the way.
TERMS = {
    "mse": Objective(),
    "perceptual": Objective(perceptual_from=0.5, perceptual_weight=1e3),
    "kl": Objective(kl_from=0.5, kl_weight=1e3),
    "alignment": Objective(alignment_weight=1e3),
}


@pytest.fixture(scope="module")
def parts() -> Parts:
    """A small frozen autoencoder and perceptual network, and pictures."""
    small = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    small |= {"block_out_channels": (8, 8), "latent_channels": 4, "norm_num_groups": 4}
    config = {**train_autoencoder.build().config, **small}
    torch.manual_seed(0)
    autoencoder = AutoencoderKL.from_config(config)
    network = PerceptualNetwork((WIDTH, WIDTH))
    images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    return autoencoder.eval().requires_grad_(False), network.eval().requires_grad_(False), images


def small_unet() -> UNet2DConditionModel:
    small = {"block_out_channels": (8, 8), "norm_num_groups": 4, "attention_head_dim": 2}
    small |= {"class_embed_type": "projection", "projection_class_embeddings_input_dim": CAPTION_WIDTH}
    return UNet2DConditionModel.from_config({**build(4, 8, CAPTION_WIDTH).config, **small})


def loss_of(objective: Objective, parts: Parts, count: int, process: tuple[int, int] = (0, 1)) -> DenoisingLoss:
    """The loss on the first `count` pictures."""
    autoencoder, network, images = parts
    images = images[:count]
    x = images.float() / 127.5 - 1
    latents = torch.stack([torch.stack(posterior(autoencoder, way), 1) for way in (x, x.flip(3))], 1)
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(2 * count, 5, CAPTION_WIDTH, generator=generator)
    pooled = torch.randn(2 * count, CAPTION_WIDTH, generator=generator)
    data = Encoded(
        latents.half(),
        hidden.half(),
        pooled.half(),
        (torch.zeros(1, 5, CAPTION_WIDTH), torch.zeros(1, CAPTION_WIDTH)),
        [[2 * k, 2 * k + 1] for k in range(count)],
    )
    return DenoisingLoss(
        objective,
        data,
        ALPHAS_CUMPROD,
        device=torch.device("cpu"),
        autocast=nullcontext,
        autoencoder=autoencoder,
        perceptual=network,
        pictures=images,
        process=process,
    )


def gradient(
    loss: DenoisingLoss, model: nn.Module, done: float, by: list[nn.Parameter]
) -> tuple[dict[str, float], Tensor]:
    """The terms, and the gradient of the whole loss by some parameters as one vector."""
    count = len(loss.pictures)
    value, terms = loss(model, torch.arange(BATCH) % count, torch.Generator().manual_seed(7), done)
    found = torch.autograd.grad(value, by, allow_unused=True)
    return terms, torch.cat([g.flatten() for g in found if g is not None])


@pytest.mark.parametrize("term", [name for name in TERMS if name != "mse"])
def test_the_gradient_of_each_term_reaches_the_unet_from_its_time_on(term: str, parts: Parts) -> None:
    torch.manual_seed(2)
    model = Denoiser(small_unet(), WIDTH)
    unet = list(model.unet.parameters())
    plain = {done: gradient(loss_of(TERMS["mse"], parts, 3), model, done, unet) for done in (0.49, 0.5)}
    with_term = {done: gradient(loss_of(TERMS[term], parts, 3), model, done, unet) for done in (0.49, 0.5)}
    assert with_term[0.5][0][term] > 0
    assert (with_term[0.5][1] - plain[0.5][1]).norm() > plain[0.5][1].norm()
    if term != "alignment":  # which is there from the start
        assert term not in with_term[0.49][0]
        assert torch.equal(with_term[0.49][1], plain[0.49][1])


class Oracle(nn.Module):
    """A network that knows the one picture, and is wrong by `offset` and `offset_of_middle`."""

    def __init__(self, loss: DenoisingLoss, x0: Tensor, middle: Tensor) -> None:
        super().__init__()
        self.prediction, self.x0, self.middle = loss.objective.prediction, x0, middle
        self.offset = nn.Parameter(torch.zeros_like(x0))
        self.offset_of_middle = nn.Parameter(torch.zeros_like(middle))

    def forward(self, x: Tensor, t: Tensor, hidden: Tensor, pooled: Tensor) -> tuple[Tensor, Tensor]:
        a = ALPHAS_CUMPROD[t]
        noise = (x - a.sqrt().view(-1, 1, 1, 1) * self.x0) / (1 - a).sqrt().view(-1, 1, 1, 1)
        right = target_of(self.prediction, self.x0.expand_as(x), noise, a)
        return right + self.offset, (self.middle + self.offset_of_middle).expand(len(x), -1, -1, -1)


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
@pytest.mark.parametrize("term", TERMS)
def test_each_term_and_its_gradient_vanish_at_the_optimum(term: str, prediction: str, parts: Parts) -> None:
    loss = loss_of(replace(TERMS[term], prediction=prediction, flips=False), parts, 1)
    _, network, images = parts
    oracle = Oracle(loss, loss.data.latents[:1, 0, 0].float(), network.features(images[:1].float() / 127.5 - 1)[-1])
    parameters = list(oracle.parameters())
    terms, at_optimum = gradient(loss, oracle, 0.9, parameters)
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)), alpha=0.1)
    terms_beside, beside = gradient(loss, oracle, 0.9, parameters)
    assert set(terms) == {"mse", term}
    assert terms[term] <= 1e-5 * terms_beside[term]
    assert at_optimum.norm() <= 1e-3 * beside.norm()


def test_what_is_switched_off_leaves_no_trace(parts: Parts) -> None:
    """Captions are dropped, chosen and pictures mirrored as often as asked."""

    class Recorder(nn.Module):
        def forward(self, x: Tensor, t: Tensor, hidden: Tensor, pooled: Tensor) -> tuple[Tensor, None]:
            self.seen = hidden, pooled
            return torch.zeros_like(x, requires_grad=True), None

    recorder = Recorder()
    many = torch.zeros(4000, dtype=torch.long)

    def fractions(**changes: object) -> tuple[float, float, float]:
        """Of examples without a caption, without the pooled state, and with the picture's first caption."""
        loss = loss_of(replace(Objective(), **changes), parts, 1)
        loss(recorder, many, torch.Generator().manual_seed(0), 0.0)
        hidden, pooled = recorder.seen
        first = (hidden == loss.data.hidden[0].float()).all(dim=(1, 2))
        none = (hidden == 0).all(dim=(1, 2))
        return tuple(float(mask.float().mean()) for mask in (none, (pooled == 0).all(dim=1), first))

    assert fractions(caption_dropout=0.0) == pytest.approx((0, 0, 0.5), abs=0.03)
    assert fractions(caption_dropout=0.2) == pytest.approx((0.2, 0.2, 0.4), abs=0.03)
    assert fractions(caption_dropout=0.1, pooled_dropout=0.5) == pytest.approx((0.1, 0.55, 0.45), abs=0.03)
    assert fractions(caption_dropout=0.0, random_caption=False) == (0, 0, 1)


def test_strong_augmentation_begins_when_asked(parts: Parts) -> None:
    model = Denoiser(small_unet())
    unet = list(model.parameters())
    plain, late = (loss_of(Objective(augment_from=since), parts, 3) for since in (None, 0.5))
    assert torch.equal(gradient(plain, model, 0.4, unet)[1], gradient(late, model, 0.4, unet)[1])
    assert not torch.equal(gradient(plain, model, 0.6, unet)[1], gradient(late, model, 0.6, unet)[1])


@pytest.mark.parametrize("fraction", [0.25, 0.5, 1.0])
def test_two_processes_halves_have_the_gradient_of_the_whole_batch(fraction: float, parts: Parts) -> None:
    """Of every element of the recipe, also where no picture for LPIPS is one process's."""
    objective = replace(
        UNetOptions().objective, least_weight=0.0, caption_dropout=0.3, augment_from=0.7, alignment_weight=0.5
    )
    objective = replace(
        objective, perceptual_from=0.0, perceptual_weight=3.0, perceptual_fraction=fraction, kl_from=0.0
    )
    torch.manual_seed(2)
    model = Denoiser(small_unet(), WIDTH)
    parameters, batch = list(model.parameters()), torch.tensor([0, 1, 2, 1])

    def of(done: float, process: tuple[int, int]) -> Tensor:
        first, count = process
        loss = loss_of(objective, parts, 3, process)
        value, _ = loss(model, batch[first::count], torch.Generator().manual_seed(7), done)
        return torch.cat([g.flatten() for g in torch.autograd.grad(value, parameters)])

    for done in (0.1, 0.9):
        whole, halves = of(done, (0, 1)), (of(done, (0, 2)) + of(done, (1, 2))) / 2
        # Rounding that takes a rectifier over its kink: 9e-4 in 20 seeds; another share of the weights: 2e-2.
        assert (halves - whole).norm() <= 3e-3 * whole.norm()
