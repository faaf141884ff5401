"""python -m baselines.vq_diffusion.train_ranker: the network that reads words in pictures, for choosing among drawings.

It learns from the training pictures as the VQModel's trained decoder shows them, which is how drawn ones look.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffusers import VQModel
from torch import Tensor

from baselines.training.latents import in_batches
from baselines.training.options import MoreOptions, RunOptions, command, option
from baselines.training.train_perceptual import WordLoss, words_of
from baselines.training.training import Training
from baselines.vq_diffusion.ranker import Ranker
from baselines.vq_diffusion.sampling import decode
from baselines.vq_diffusion.train_vqmodel import codes_of
from baselines.weight_files import load_network
from submission.errors import UsageError, run
from submission.hashes import file_sha256

WIDTHS = (24, 48, 96, 128)


@dataclass(frozen=True, kw_only=True)
class RankerOptions(RunOptions, MoreOptions):
    """The ranker's training."""

    out: Path = Path("runs/vq_ranker")
    images: int = 240_000
    batch_size: int = 64
    learning_rate: float = 3e-3
    vqmodel: Path = option(Path("runs/vqmodel/model"), "diffusers folder")


def train_ranker(options: RankerOptions) -> Path:
    """Trains the ranker and returns its folder."""
    training = Training(options, weight_decay=0.05, ema_decay=0.995)
    pictures = options.pictures()
    vqvae = load_network(VQModel, options.vqmodel).float().to(training.device).eval()
    by = file_sha256(options.vqmodel / "diffusion_pytorch_model.safetensors")

    def shown(images: Tensor) -> Tensor:
        """Pictures as the VQModel decodes their own codes."""
        return decode(vqvae, codes_of(vqvae, images).flatten(1))

    def encode() -> dict[str, Tensor]:
        return {"images": in_batches(shown, pictures.images, training.accelerator.autocast, "decoding")}

    images = training.encoded("decoded", [by, pictures.sha256], encode)["images"]
    words, fractions = words_of(pictures.captions)
    if not words:
        raise UsageError(f"{options.data}: its captions have no words of a to z, which a ranker reads")
    ranker = Ranker(words, WIDTHS)
    loss = WordLoss(images, pictures.entry, fractions, training.accelerator)
    training.train_and_load(ranker.network, loss, len(images), vqmodel=by, **pictures.kept)
    return training.finish(ranker.write)


main = command(train_ranker, __doc__, RankerOptions())

if __name__ == "__main__":
    raise SystemExit(run(main))
