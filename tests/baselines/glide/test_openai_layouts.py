"""OpenAI's six files, by their keys and shapes, fit our models; so do the options they were made with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from baselines.glide.openai import OPENAI
from baselines.glide.unet import UNet
from baselines.glide.weights import empty_model, load_into, openai_layout
from submission.errors import UsageError

COUNTS = {
    "base": 385_030_726,
    "base_inpaint": 385_037_638,
    "upsample": 398_361_286,
    "upsample_inpaint": 398_368_198,
    "clip_image_enc": 86_443_776,
    "clip_text_enc": 71_679_488,
}


def state_of(layout: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    return {key: torch.empty(shape, device="meta") for key, shape in layout.items()}


@pytest.mark.parametrize("name", COUNTS)
def test_a_layout_loads_strictly(name: str, golden: Callable) -> None:
    layout = golden("checkpoint_layout")[name]
    model = empty_model(name)
    model.load_state_dict(state_of(layout), strict=True, assign=True)  # the plain call takes OpenAI's keys
    assert {key: list(shape) for key, shape in openai_layout(model).items()} == layout
    assert sum(parameter.numel() for parameter in model.parameters()) == COUNTS[name]


@pytest.mark.parametrize(("name", "operations"), [("base", 0.238e12), ("upsample", 1.281e12)])
def test_a_forward_pass_costs_what_openais_does(name: str, operations: float) -> None:
    """Measured on OpenAI's models with the same counter, for one image."""
    config = OPENAI.models[name]
    with torch.device("meta"):
        model = UNet(config).eval()
        x, low_res = torch.empty(1, 3, config.image_size, config.image_size), torch.empty(1, 3, 64, 64)
        tokens = torch.zeros(1, 128, dtype=torch.long)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            text = model.encode_text(tokens, tokens > 0)
            model(x, tokens[:, 0], text, low_res=low_res)
    assert counter.get_total_flops() == pytest.approx(operations, rel=0.005)


@pytest.mark.parametrize(("name", "other"), [("base", "upsample"), ("base", "base_inpaint")])
def test_another_models_layout_is_told_apart(name: str, other: str, golden: Callable) -> None:
    state = state_of(golden("checkpoint_layout")[other])
    with pytest.raises(UsageError, match="unknown checkpoint layout") as error:
        load_into(empty_model(name), state, Path("base.pt"))
    assert "input_blocks." in str(error.value)
    assert len(str(error.value)) < 1500


@pytest.mark.parametrize("name", ["base", "upsample"])
def test_the_preset_has_openais_options(name: str, golden: Callable) -> None:
    config, options = OPENAI.models[name], golden("options")["full"][name]
    assert config.image_size == options["image_size"]
    assert config.model_channels == options["num_channels"]
    assert config.num_res_blocks == options["num_res_blocks"]
    assert config.num_head_channels == options["num_head_channels"]
    assert config.attention_resolutions == tuple(map(int, options["attention_resolutions"].split(",")))
    assert (config.text_length, config.text_width) == (options["text_ctx"], options["xf_width"])
    assert (config.text_layers, config.text_heads) == (options["xf_layers"], options["xf_heads"])
    assert (config.noise_schedule, config.train_timesteps) == (options["noise_schedule"], options["diffusion_steps"])
    assert (config.dropout, config.super_res) == (options["dropout"], options["super_res"])
