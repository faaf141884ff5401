"""The noised CLIP against OpenAI's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from rounding import assert_rounded, terms_of

from baselines.diffusion.process import Diffusion
from baselines.diffusion.schedules import betas
from baselines.glide.noised_clip import NoisedClip, clip_gradient


@pytest.fixture
def io(golden: Callable) -> dict[str, torch.Tensor]:
    return golden("clip.io")


@torch.no_grad()
def test_both_towers_are_the_references(io: dict[str, torch.Tensor], reference_clip: NoisedClip) -> None:
    image, text = (io["images"], io["timesteps"]), (io["tokens"], io["text_len"])
    assert_rounded(reference_clip.image_encoder(*image), io["image_raw"], terms_of(reference_clip))
    assert_rounded(reference_clip.text_encoder(*text), io["text_raw"], terms_of(reference_clip))
    assert_rounded(reference_clip.embed_images(*image), io["image_embeddings"], terms_of(reference_clip))
    assert_rounded(reference_clip.embed_texts(*text), io["text_embeddings"], terms_of(reference_clip))


@torch.no_grad()
def test_the_states_that_are_projected_are_the_references(
    io: dict[str, torch.Tensor], reference_clip: NoisedClip
) -> None:
    seen = []
    for tower in (reference_clip.image_encoder, reference_clip.text_encoder):
        hook = tower.final_layer_norm.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        _ = tower(*((io["images"], io["timesteps"]) if not seen else (io["tokens"], io["text_len"])))
        hook.remove()
    assert_rounded(seen[0], io["image_probe"], terms_of(reference_clip))
    assert_rounded(seen[1], io["text_probe"], terms_of(reference_clip))


def test_the_gradient_is_the_references(io: dict[str, torch.Tensor], reference_clip: NoisedClip) -> None:
    assert torch.tensor(reference_clip.config.logit_scale).log().item() == pytest.approx(io["logit_scale"].item())
    text = reference_clip.embed_texts(io["tokens"], io["text_len"])
    process = Diffusion(betas("squaredcos_cap_v2", 1000))
    gradient = clip_gradient(reference_clip, text, process, io["grad_scale"].item())
    with torch.no_grad():  # as sampling calls it
        assert_rounded(
            gradient(io["images"], io["timesteps"], io["images"]), io["cond_grad"], 2 * terms_of(reference_clip)
        )  # there and back


@torch.no_grad()
def test_what_follows_the_end_token_is_not_seen(io: dict[str, torch.Tensor], reference_clip: NoisedClip) -> None:
    tokens = io["tokens"].clone()
    for row, length in zip(tokens, io["text_len"].tolist(), strict=True):
        row[length:] = 63
    assert_rounded(reference_clip.embed_texts(tokens, io["text_len"]), io["text_embeddings"], terms_of(reference_clip))
