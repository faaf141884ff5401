"""python two_processes.py DATA RUNS: every training by two gloo processes, and one of them by one and by two.

The processes are forked after everything is imported, which takes longer than the trainings. Where the halves of a
batch need no random numbers, two processes must train what one does on the whole batch: the decoder's training, without
its latents' noise, is such a one.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import diffusers
import torch
import transformers
from accelerate.state import AcceleratorState, GradientState
from tiny_trainings import BATCH, MODELS, run, shorten

from baselines.monster import train_autoencoder, unets
from baselines.monster.train_autoencoder import AutoencoderOptions
from baselines.monster.train_unet import UNetOptions, train_unet
from baselines.pretrained import WEIGHTS
from baselines.stable_diffusion import pipeline
from experiments import backbones

assert all((diffusers, transformers, pipeline, backbones))
HARDWARE = {"device": "cpu", "precision": "float32"}


def in_processes(count: int, work: Callable[[], None]) -> None:
    """`work()` in so many forked processes that know of each other as `torchrun`'s do; exits where one fails."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    children = []
    for rank in range(count):
        child = os.fork()
        if child == 0:
            if count > 1:
                os.environ.update({**address, "WORLD_SIZE": str(count), "RANK": str(rank), "LOCAL_RANK": str(rank)})
            try:
                work()
                if torch.distributed.is_initialized():
                    torch.distributed.destroy_process_group()
                sys.stdout.flush()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        children.append(child)
    # The first to fail is told of; the others wait for it in vain.
    for _ in children:
        _, status = os.wait()
        if status:
            for child in children:
                try:
                    os.kill(child, 9)
                except ProcessLookupError:
                    continue
            sys.exit(1)


def all_trainings(data: Path, runs: Path) -> None:
    shorten(setattr)
    for model in MODELS:
        run(model, data, runs / model, setattr, processes=2, **HARDWARE)
        AcceleratorState._reset_state(reset_partial_state=False)  # the next one decides its precision anew
        GradientState._reset_state()


def decoder(data: Path, out: Path, batch_size: int) -> None:
    """The decoder's training from one fixed autoencoder."""
    torch.manual_seed(3)
    fixed = train_autoencoder.build()
    fixed.register_to_config(scaling_factor=1.0)
    train_autoencoder.first_part = lambda *args, **kept: fixed
    train_autoencoder.LATENT_NOISE = 0.0
    options = AutoencoderOptions(
        data=data, out=out, images=6 * BATCH, decoder_images=6 * BATCH, batch_size=batch_size, **HARDWARE
    )
    train_autoencoder.train_autoencoder(options)


def unet(data: Path, out: Path, batch_size: int) -> None:
    """The UNet's training by every element of the recipe, on the shipped frozen parts."""
    unets.UNETS["small"] |= {"block_out_channels": (8, 8)}
    parts = str(WEIGHTS / "monster")
    options = UNetOptions(
        data=data, out=out / "unet", autoencoder=parts, text_encoder=parts, unet="small", keep_at=(),
        images=8 * BATCH, batch_size=batch_size, warmup=0.0, perceptual_from=0.2, kl_from=0.4, alignment_weight=0.5,
        augment_from=0.7, **HARDWARE,
    )  # fmt: skip
    train_unet(options)


if __name__ == "__main__":
    torch.set_num_threads(1)
    data, runs = Path(sys.argv[1]), Path(sys.argv[2])
    in_processes(2, lambda: all_trainings(data, runs))
    # The commands' own functions again, not the shortened ones: those were the children's.
    in_processes(1, lambda: decoder(data, runs / "one", 2 * BATCH))
    in_processes(2, lambda: decoder(data, runs / "two", BATCH))
    in_processes(1, lambda: unet(data, runs / "one", 2 * BATCH))
    in_processes(2, lambda: unet(data, runs / "two", BATCH))
