"""python -m baselines.vq_diffusion.train: VQModel and transformer in order, then one folder that draws.

Each stage is a command of its own and can be interrupted: what is finished is kept, what is not goes on where it was.
The text encoder is one that was trained before, on captions and pictures: by default the monster's. The folder gets a
copy, or with `--share` says where it is.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from diffusers import VQModel
from safetensors.torch import load_file
from transformers import CLIPTextConfig

from baselines import pretrained
from baselines.processes import in_the_first
from baselines.training.options import (
    accelerator_of,
    add_data,
    add_model,
    add_share,
    command_parser,
    hardware_arguments,
)
from baselines.vq_diffusion import train_transformer, train_vqmodel
from submission import atomic, commands, paths
from submission.errors import run

# Of the guidance scales 2 and 4, the latter shows more of what 64 validation prompts ask for, at the same FID.
SAMPLING = {"steps": 32, "guidance_scale": 4.0, "truncation_rate": 0.9, "batch_size": 32, "fixed_batch": 8}


def assemble(vqmodel: Path, text: Path, transformer_weights: Path, out: Path, *, share: bool = False) -> None:
    """The parts as one folder as the hub has them, in half precision, with the sampling defaults.

    With `share` it says where text encoder and tokenizer are, instead of holding copies.
    """
    out.mkdir(parents=True, exist_ok=True)
    shutil.copytree(vqmodel, out / "vqvae", dirs_exist_ok=True)
    pretrained.bring(("text_encoder", "tokenizer"), text, out, share=share)
    vqvae = VQModel.load_config(out / "vqvae")
    width = CLIPTextConfig.from_pretrained(text / "text_encoder")
    size = vqvae["sample_size"] // 2 ** (len(vqvae["block_out_channels"]) - 1)
    denoiser = train_transformer.Denoiser(
        vqvae["num_vq_embeddings"], size, width.hidden_size, width.max_position_embeddings
    )
    denoiser.load_state_dict(load_file(transformer_weights))
    denoiser.to(torch.float16)
    denoiser.transformer.save_pretrained(out / "transformer")
    denoiser.null.save_pretrained(out / "learned_classifier_free_sampling_embeddings")
    train_transformer.noise_schedule(vqvae["num_vq_embeddings"]).save_pretrained(out / "scheduler")
    atomic.write_json(out / "sampling.json", SAMPLING)


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add_data(parser)
    parser.add_argument(
        "--text-encoder",
        type=Path,
        default=paths.repo_root() / "baselines" / "weights" / "monster",
        help="folder with text_encoder/ and tokenizer/",
    )
    add_model(parser, "runs/vq", "runs/vq/model")
    add_share(parser)
    parser.add_argument("--vqmodel-images", type=int, help="training images of the VQModel (default: its command's)")
    parser.add_argument("--transformer-images", type=int, help="training images of the transformer (likewise)")
    args = parser.parse_args(argv)

    def stage(out: Path, images: int | None) -> list[str]:
        count = ["--images", str(images)] if images else []
        return ["--data", str(args.data), "--out", str(out), *count, *hardware_arguments(args)]

    vqmodel = args.runs / "vqmodel"
    train_vqmodel.main(stage(vqmodel, args.vqmodel_images))
    parts = ["--vqmodel", str(vqmodel / "model"), "--text-encoder", str(args.text_encoder)]
    train_transformer.main([*stage(args.runs / "transformer", args.transformer_images), *parts])
    weights = args.runs / "transformer" / "weights.safetensors"

    def finish() -> None:
        assemble(vqmodel / "model", args.text_encoder, weights, args.out, share=args.share)
        print(f"{args.out}: draw with {commands.drawing('vq', args.out)}")

    in_the_first(accelerator_of(args), finish)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
