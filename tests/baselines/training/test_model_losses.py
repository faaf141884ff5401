"""The models' losses, called as the trainer calls them: a network that knows every answer has none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL, DDPMScheduler
from torch import Tensor, nn

from baselines.clip_guided import train_diffusion
from baselines.clip_guided.diffusion import diffusion
from baselines.monster import train_autoencoder
from baselines.stable_diffusion import train as stable
from baselines.training.batches import Examples
from baselines.training.pictures import Pictures
from baselines.vq_diffusion import train_transformer

CPU = torch.device("cpu")
INDICES = torch.tensor([0, 2, 1, 2, 0, 1, 0, 2] * 16)
# Three pictures that are the same, with a caption each.
LATENTS = torch.linspace(-1, 1, 4 * 2 * 2).view(1, 4, 2, 2).repeat(3, 1, 1, 1)
PICTURES = Pictures(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), torch.arange(3), [["one"], ["three"], ["two"]])
HIDDEN = torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1).expand(3, 5, 6).half()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Oracle(nn.Module):
    """Knows that every latent is LATENTS[0] and so which noise is in x; predicts the velocity, or the noise itself."""

    def __init__(self, alphas_cumprod: Tensor, predicts: str, off: float = 0.0) -> None:
        super().__init__()
        self.alphas_cumprod, self.predicts, self.off = alphas_cumprod, predicts, off
        self.seen: dict[str, Tensor] = {}

    def forward(self, x: Tensor, t: Tensor, states: Tensor, class_labels: Tensor | None = None) -> Any:
        self.seen = {"t": t, "states": states} | ({} if class_labels is None else {"pooled": class_labels})
        a = self.alphas_cumprod[t].view(-1, 1, 1, 1)
        noise = (x - a.sqrt() * LATENTS[:1]) / (1 - a).sqrt()
        wanted = noise if self.predicts == "noise" else a.sqrt() * noise - (1 - a).sqrt() * LATENTS[:1]
        return SimpleNamespace(sample=wanted + self.off)


def test_stable_diffusions_loss() -> None:
    schedule = DDPMScheduler(**stable.NOISE_SCHEDULE)
    examples = Examples(LATENTS, CPU), Examples(HIDDEN, CPU)
    loss = stable.NoiseLoss(PICTURES, *examples, torch.zeros(1, 5, 6), schedule, Accelerator(cpu=True))
    knows = Oracle(schedule.alphas_cumprod, "noise")
    assert float(loss(knows, INDICES, generator(), 0.0)[0]) == pytest.approx(0, abs=1e-5)
    assert float(
        loss(Oracle(schedule.alphas_cumprod, "noise", off=2.0), INDICES, generator(), 0.0)[0]
    ) == pytest.approx(4)
    assert knows.seen["t"].min() >= 0
    assert knows.seen["t"].max() < 1000


def test_the_pixel_diffusions_loss() -> None:
    images = torch.full((3, 3, 8, 8), 200, dtype=torch.uint8)
    process = diffusion()
    loss = train_diffusion.VelocityLoss(Examples(images, CPU), process, Accelerator(cpu=True))

    class Knows(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            x0 = torch.full_like(x, 200 / 127.5 - 1)
            signal = process.q_sample(x0, t, torch.zeros_like(x))
            spread = process.q_sample(torch.zeros_like(x), t, torch.ones_like(x))
            return process.velocity(x0, t, (x - signal) / spread)

    assert float(loss(Knows(), INDICES[:16], generator(), 0.0)[0]) == pytest.approx(0, abs=1e-6)


def test_the_transformers_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = torch.tensor([[3, 1, 0, 2]], dtype=torch.int32).repeat(3, 1)
    scheduler = train_transformer.noise_schedule(4)
    loss = train_transformer.CodesLoss(PICTURES, codes, Examples(HIDDEN, CPU), scheduler, Accelerator(cpu=True))
    seen: list[Tensor] = []

    def knows(transformer: nn.Module, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        seen.append(x)
        return 50 * nn.functional.one_hot(codes[0].long(), 4).float().expand(len(x), -1, -1)

    monkeypatch.setattr(train_transformer, "logits", knows)
    model = SimpleNamespace(transformer=None, null=SimpleNamespace(embeddings=torch.zeros(1, 5, 6)))
    assert float(loss(model, INDICES, generator(), 0.0)[0]) == pytest.approx(0, abs=1e-5)
    assert seen[0].shape == (len(INDICES), 4)
    assert (seen[0] == scheduler.mask_class).any()
    assert (seen[0] == codes[0]).any()
    monkeypatch.setattr(train_transformer, "logits", lambda transformer, x, t, text: torch.zeros(*x.shape, 4))
    assert float(loss(model, INDICES, generator(), 0.0)[0]) == pytest.approx(torch.tensor(4.0).log().item())


class Copies(nn.Module):
    """An autoencoder whose latents are the pixels of patches, and whose posterior is nearly sure."""

    config = SimpleNamespace(latent_channels=48)
    logvar = -30.0

    def encode(self, x: Tensor) -> Any:
        mean = nn.functional.pixel_unshuffle(x, 4)
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=mean, logvar=torch.full_like(mean, self.logvar)))

    def decode(self, z: Tensor) -> Any:
        return SimpleNamespace(sample=nn.functional.pixel_shuffle(z, 4))


def test_the_autoencoders_losses() -> None:
    images = torch.randint(256, (3, 3, 64, 64), generator=generator(), dtype=torch.uint8)
    accelerator = Accelerator(cpu=True)
    loss = train_autoencoder.ReconstructionLoss(Examples(images, CPU), accelerator)
    indices = torch.tensor([0, 1, 2, 0])
    value, numbers = loss(Copies(), indices, generator(), 0.0)
    assert float(numbers["psnr"]) > 100
    # What is left is the posterior's divergence: 0.5 (mean² + variance - 1 - log variance).
    crops = (images.float() / 127.5 - 1).square().mean()
    assert float(value) == pytest.approx(train_autoencoder.KL_WEIGHT * 0.5 * (float(crops) + 29), rel=0.01)
    decoder = train_autoencoder.DecoderLoss(Examples(images, CPU), accelerator)
    noise = train_autoencoder.LATENT_NOISE
    _, numbers = decoder(Copies(), indices, generator(), 0.0)
    assert float(numbers["psnr"]) == pytest.approx(-10 * torch.tensor(noise**2 / 4).log10().item(), abs=0.1)
    # Crops at first, whole pictures at the end.
    sizes: list[int] = []
    seen = Copies()
    seen.encode = lambda x: sizes.append(x.shape[-1]) or Copies.encode(seen, x)  # type: ignore[method-assign]
    for done in (0.0, 0.79, 0.81):
        loss(seen, indices, generator(), done)
    assert sizes == [32, 32, 64]


def test_only_the_decoder_learns_from_the_decoders_loss(tmp_path: Path) -> None:
    images = torch.randint(256, (2, 3, 16, 16), generator=generator(), dtype=torch.uint8)
    model = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=2, sample_size=16)
    train_autoencoder.DecoderLoss(Examples(images, CPU), Accelerator(cpu=True))(
        model, torch.tensor([0, 1]), generator(), 0.0
    )[0].backward()
    assert all(parameter.grad is None for parameter in model.encoder.parameters())
    assert all(parameter.grad is not None for parameter in model.decoder.parameters())
