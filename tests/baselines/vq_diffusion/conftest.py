"""A VQ-Diffusion folder as the hub stores it, tiny and with random weights, and diffusers' pipeline of its parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import Transformer2DModel, VQDiffusionPipeline, VQDiffusionScheduler, VQModel
from diffusers.pipelines.deprecated.vq_diffusion import LearnedClassifierFreeSamplingEmbeddings
from safetensors.torch import load_file
from small_text import small_text

from baselines.vq_diffusion.train_transformer import build

CODES, TIMESTEPS, LENGTH, WIDTH = 12, 10, 16, 32


def _pipeline(*, learnable: bool = True) -> VQDiffusionPipeline:
    tokenizer, text_encoder = small_text(LENGTH, WIDTH)
    null = LearnedClassifierFreeSamplingEmbeddings(learnable, WIDTH, LENGTH)
    if learnable:
        torch.nn.init.normal_(null.embeddings)
    small = {"num_attention_heads": 2, "attention_head_dim": 12, "num_layers": 2, "num_embeds_ada_norm": TIMESTEPS}
    transformer = Transformer2DModel.from_config({**build(CODES, 4, WIDTH).config, **small})
    # Random weights as they are made hardly hear the prompt.
    for block in transformer.transformer_blocks:
        torch.nn.init.normal_(block.attn2.to_v.weight, std=2.0)
    torch.nn.init.normal_(transformer.out.weight, std=0.05)
    vqvae = VQModel(
        block_out_channels=[8, 8, 8],
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        latent_channels=3,
        norm_num_groups=4,
        num_vq_embeddings=CODES,
        vq_embed_dim=3,
        sample_size=16,
    )
    torch.nn.init.normal_(vqvae.quantize.embedding.weight)
    pipeline = VQDiffusionPipeline(
        vqvae=vqvae.eval(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        transformer=transformer.eval(),
        scheduler=VQDiffusionScheduler(CODES + 1, TIMESTEPS),
        learned_classifier_free_sampling_embeddings=null,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def pipeline() -> VQDiffusionPipeline:
    return _pipeline()


@pytest.fixture
def make_pipeline() -> Callable[..., VQDiffusionPipeline]:
    """`make_pipeline(learnable=True)`: with embeddings for no prompt, or without."""
    return _pipeline


def _as_saved_by_diffusers(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    assert index["learned_classifier_free_sampling_embeddings"][0] == "diffusers"


# Names that have changed since: transformers then had CLIP's text model one level deeper.
_OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def _as_on_the_hub(folder: Path) -> None:
    """As saved in 2022: another library's name in the index, a transformer without norm_type, pickles, older keys."""
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    index["learned_classifier_free_sampling_embeddings"][0] = "vq_diffusion"
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    config = json.loads((folder / "transformer" / "config.json").read_text(encoding="utf-8"))
    del config["norm_type"]
    (folder / "transformer" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for safe in list(folder.glob("*/*.safetensors")):
        weights, pickled = load_file(safe), safe.with_suffix(".bin")
        if safe.parent.name == "text_encoder":
            weights = {f"text_model.{key}": value for key, value in weights.items()}
            weights["text_model.embeddings.position_ids"] = torch.arange(LENGTH)[None]
            pickled = safe.with_name("pytorch_model.bin")
        if safe.parent.name == "vqvae":
            weights = {_old_key(key): value for key, value in weights.items()}
            assert any("proj_attn" in key for key in weights)
        torch.save(weights, pickled)
        safe.unlink()


def _old_key(key: str) -> str:
    for new, old in _OLD_ATTENTION.items():
        key = key.replace(f".attentions.0.{new}.", f".attentions.0.{old}.")
    return key


STYLES: dict[str, Callable[[Path], None]] = {"diffusers": _as_saved_by_diffusers, "hub": _as_on_the_hub}


@pytest.fixture
def pipeline_folders(pipeline: VQDiffusionPipeline, tmp_path: Path) -> list[Path]:
    """The same pipeline as diffusers saves it now, and as the hub has it."""
    folders = []
    for name, change in STYLES.items():
        pipeline.save_pretrained(tmp_path / name)
        change(tmp_path / name)
        folders.append(tmp_path / name)
    return folders


@pytest.fixture(params=range(len(STYLES)), ids=list(STYLES))
def folder(request: pytest.FixtureRequest, pipeline_folders: list[Path]) -> Path:
    """One of the two."""
    return pipeline_folders[request.param]
