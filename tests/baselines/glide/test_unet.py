"""The UNets against OpenAI's, tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from rounding import assert_rounded, terms_of, tolerance
from torch.testing import assert_close

from baselines.glide.blocks import timestep_embedding
from baselines.glide.openai import unet_modules
from baselines.glide.unet import UNet


def text_of(model: UNet, io: dict[str, torch.Tensor]) -> Any:
    return model.encode_text(io["tokens"], io["mask"])


@pytest.mark.parametrize("name", ["base", "upsample"])
@torch.no_grad()
def test_a_forward_pass_is_the_references(name: str, golden: Callable, reference_unet: Callable) -> None:
    model, io = reference_unet(name), golden(f"{name}.io")
    ours = model(io["x"], io["timesteps"], text_of(model, io), low_res=io.get("low_res"))
    assert_rounded(ours, io["out"], terms_of(model))


@torch.no_grad()
def test_the_text_states_are_the_references(golden: Callable, reference_unet: Callable) -> None:
    model, io = reference_unet("base"), golden("base.io")
    text = text_of(model, io)
    assert_rounded(text.hidden.mT, io["xf_out"], terms_of(model.text_encoder))
    assert_rounded(text.pooled, io["xf_proj"], terms_of(model.text_encoder))


@torch.no_grad()
def test_every_activation_is_the_references(golden: Callable, reference_unet: Callable) -> None:
    model, io = reference_unet("base"), golden("base.io")
    modules = {
        "time_embed": "time_embedding",
        "final_ln": "text_encoder.final_layer_norm",
        "transformer": "text_encoder.layers.1",
        "middle_block": "mid_block.resnets.1",
        "out": "conv_out",
        **{f"transformer.resblocks.{index}": f"text_encoder.layers.{index}" for index in (0, 1)},
    }
    # The last module of a block of OpenAI's makes its output: block.0, block.1 … in order.
    modules |= {
        theirs.rsplit(".", 1)[0]: ours for theirs, ours in unet_modules(model.config).items() if "put_" in theirs
    }
    outputs: dict[str, torch.Tensor] = {}
    hooks = [
        model.get_submodule(module).register_forward_hook(
            lambda _module, _inputs, output, name=name: outputs.__setitem__(name, output)
        )
        for name, module in modules.items()
    ]
    model(io["x"], io["timesteps"], text_of(model, io))
    for hook in hooks:
        hook.remove()
    recorded = {key.removeprefix("act."): value for key, value in io.items() if key.startswith("act.")}
    assert recorded.keys() <= outputs.keys()
    assert len(recorded) > 10
    for name, value in recorded.items():
        assert_rounded(outputs[name][1:2], value, terms_of(model))


def test_the_embedding_of_timesteps_is_the_references(golden: Callable) -> None:
    io = golden("base.io")
    # Sines and cosines of angles up to t, which float32 has to seven digits.
    atol = tolerance(1, 2 * io["timesteps"].max().item())
    assert_close(timestep_embedding(io["timesteps"], 32), io["timestep_embedding"], atol=atol, rtol=0)


@pytest.mark.parametrize("name", ["base", "upsample"])
@torch.no_grad()
def test_an_inpainting_model_adds_what_it_sees_of_the_known_pixels(
    name: str, golden: Callable, reference_unet: Callable
) -> None:
    plain, io = reference_unet(name), golden(f"{name}.io")
    model = UNet(replace(plain.config, inpaint=True)).eval()
    state = dict(plain.state_dict())
    weight = state["conv_in.weight"]
    added = torch.randn(weight.shape[0], 4, 3, 3, generator=torch.Generator().manual_seed(0)) * 0.05
    state["conv_in.weight"] = torch.cat([weight[:, :3], added, weight[:, 3:]], dim=1)
    model.load_state_dict(state)
    text, low_res = text_of(plain, io), io.get("low_res")
    nothing = model(io["x"], io["timesteps"], text, low_res=low_res)
    assert_rounded(nothing, io["out"], terms_of(model))
    zeros = torch.zeros(3, 4, 16, 16)
    assert_rounded(model(io["x"], io["timesteps"], text, known=zeros, low_res=low_res), nothing, terms_of(model))
    known = torch.rand(3, 4, 16, 16)
    seen = model(io["x"], io["timesteps"], text, known=known, low_res=low_res)
    # The same by linearity: the first convolution of the plain model, with the known pixels' part added to its output.
    hook = plain.conv_in.register_forward_hook(
        lambda _module, _inputs, output: output + torch.nn.functional.conv2d(known, added, padding=1)
    )
    assert_rounded(plain(io["x"], io["timesteps"], text, low_res=low_res), seen, terms_of(model))
    hook.remove()


@torch.no_grad()
def test_half_precision_is_close(golden: Callable, reference_unet: Callable) -> None:
    io = golden("base.io")
    model = UNet(reference_unet("base").config).eval()
    model.load_state_dict(reference_unet("base").state_dict())
    out = model.half_precision()(io["x"], io["timesteps"], text_of(model, io))
    assert out.dtype == torch.float32
    assert (out - io["out"]).norm() < 0.005 * io["out"].norm()


def test_an_upsampler_wants_an_image(reference_unet: Callable, golden: Callable) -> None:
    model, io = reference_unet("upsample"), golden("upsample.io")
    with pytest.raises(ValueError, match="image to upsample"):
        model(io["x"], io["timesteps"], text_of(model, io))


def test_a_new_model_predicts_zero(golden: Callable, reference_unet: Callable) -> None:
    io = golden("base.io")
    model = UNet(reference_unet("base").config)
    assert not model(io["x"], io["timesteps"], text_of(model, io)).any()
