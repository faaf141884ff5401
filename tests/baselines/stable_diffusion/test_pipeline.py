"""Stable Diffusion from a folder in the hub's layout, held against diffusers' own pipeline, and what it needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

import baselines
from baselines import listing
from baselines.__main__ import parser
from baselines.diffusion.noise import randn, seeded_generators
from baselines.draw import Request, draw
from baselines.hardware import Hardware
from baselines.registry import recipe
from baselines.stable_diffusion.folder import load_parts
from baselines.stable_diffusion.pipeline import StableDiffusion
from submission import Competition, CompetitionError, MissingPart
from submission.errors import UsageError

CPU = Hardware("cpu", "float32", "a test")
NO_PROMPTS = SimpleNamespace(prompts=())  # all of a competition that it looks at

PROMPTS = ["a red bat", "a blue cat on a hat", "", "a red bat"]
SEEDS = [1, 2**63, 3, 4]


@pytest.fixture
def competition(tiny_competition: Callable[..., Competition]) -> Competition:
    return tiny_competition(n=5)


def in_float32(folder: Path, guidance_scale: float = 7.5) -> StableDiffusion:
    return StableDiffusion(NO_PROMPTS, CPU, weights=str(folder), steps=4, guidance_scale=guidance_scale)


@pytest.mark.parametrize("layout", [4, 5])
@pytest.mark.parametrize("guidance_scale", [7.5, 1.0])
def test_images_are_those_of_diffusers_pipeline(v1_4, layout: int, guidance_scale: float) -> None:
    folder = v1_4(layout)
    stable = in_float32(folder, guidance_scale)
    ours = stable.generate(PROMPTS, SEEDS)
    parts = load_parts(str(folder), torch.float32)
    pipeline = StableDiffusionPipeline(
        vae=parts.vae,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        unet=parts.unet,
        scheduler=parts.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        PROMPTS,
        latents=randn(seeded_generators(SEEDS), (4, 8, 8), "cpu"),
        num_inference_steps=4,
        guidance_scale=guidance_scale,
        output_type="np",
    ).images
    assert ours.shape == theirs.shape == (4, 16, 16, 3)
    assert ours.std() > 5
    np.testing.assert_allclose(ours, theirs * 255, atol=0.51)


def test_both_layouts_of_the_text_encoder_are_the_same_model(v1_4) -> None:
    images = [in_float32(v1_4(layout, f"layout-{layout}")).generate(PROMPTS, SEEDS) for layout in (4, 5)]
    np.testing.assert_array_equal(*images)


def test_an_image_depends_on_its_prompt_and_seed_only(v1_4) -> None:
    folder = v1_4()
    stable = in_float32(folder)
    images = stable.generate(PROMPTS, SEEDS)
    alone = [in_float32(folder).generate([p], [s])[0] for p, s in zip(PROMPTS, SEEDS, strict=True)]
    assert np.abs(images.astype(int) - alone).max() <= 1
    backwards = stable.generate(PROMPTS[::-1], SEEDS[::-1])[::-1]
    np.testing.assert_array_equal(images, backwards)
    assert not np.array_equal(images[0], images[3])  # the same prompt, another seed
    assert not np.array_equal(images[0], stable.generate(["a blue bat"], [SEEDS[0]])[0])


def test_a_prompt_is_encoded_once(v1_4, monkeypatch) -> None:
    stable = in_float32(v1_4())
    encoded = []
    monkeypatch.setattr(stable._text_encoder, "forward", count(stable._text_encoder.forward, encoded))
    stable.generate(PROMPTS, SEEDS)
    stable.generate(PROMPTS, SEEDS)
    assert len(encoded) == len(set(PROMPTS))


def count(function: Callable, calls: list) -> Callable:
    def counted(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        return function(*arguments, **options)

    return counted


def test_killed_and_resumed_it_draws_the_same_bytes(competition: Competition, v1_4, tmp_path: Path) -> None:
    folder = v1_4()
    asked = recipe("stable", competition, weights=str(folder), steps=3)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert draw(Request(asked, competition, batch_size=2, device="cpu"), whole).complete
    assert not draw(Request(asked, competition, batch_size=2, limit=3, device="cpu"), parts).complete
    assert draw(Request(asked, competition, batch_size=2, device="cpu"), parts).drawn == 2
    for prompt in competition.prompts:
        assert (whole / prompt.image_name).read_bytes() == (parts / prompt.image_name).read_bytes()
    manifest = json.loads((whole / "submission.json").read_text())
    assert set(manifest["weights"]) == {
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
    }
    assert manifest["notes"][0].startswith("no safety checker")
    assert "5 prompts are longer than 12 tokens and were cut: 0_main.png" in manifest["notes"][1]
    assert manifest["resizing"] == "Pillow Lanczos, 16x16 to 64x64"


def test_the_folder_and_the_caller_say_how_to_sample(competition: Competition, v1_4) -> None:
    folder = v1_4()
    assert baselines.load("stable", competition, "cpu", weights=str(folder)).settings["guidance_scale"] == 7.5
    (folder / "sampling.json").write_text('{"steps": 3, "guidance_scale": 2.5, "batch_size": 2}')
    stable = baselines.load("stable", competition, "cpu", weights=str(folder), steps=2)
    assert (stable.settings["steps"], stable.settings["guidance_scale"], stable.batch_size) == (2, 2.5, 2)
    with pytest.raises(UsageError, match="knows 1000 steps"):
        baselines.load("stable", competition, "cpu", weights=str(folder), steps=1001)


def test_half_precision_files_are_taken_where_there_are_no_others(v1_4) -> None:
    folder = v1_4()
    expected = in_float32(folder).generate(PROMPTS, SEEDS)
    for part in ("vae", "text_encoder", "unet"):
        (file,) = (folder / part).glob("*.safetensors")
        half = {key: t.half() if t.is_floating_point() else t for key, t in load_file(file).items()}
        save_file(half, file.with_name(f"{file.stem}.fp16.safetensors"), metadata={"format": "pt"})
        file.unlink()
    stable = in_float32(folder)
    assert all(".fp16." in name for name in stable.weights)
    halves = stable.generate(PROMPTS, SEEDS)
    assert np.abs(halves.astype(int) - expected).mean() < 2


@pytest.mark.parametrize("part", ["unet", "tokenizer", "scheduler", "model_index.json"])
def test_what_is_missing_is_named(competition: Competition, v1_4, part: str) -> None:
    folder = v1_4()
    (folder / part).rename(folder / "elsewhere")
    with pytest.raises(MissingPart, match=rf"no {part}[\s\S]*looked for: {folder / part}"):
        baselines.load("stable", competition, "cpu", weights=str(folder))


def test_a_pickle_is_not_opened(competition: Competition, v1_4) -> None:
    folder = v1_4()
    (folder / "vae" / "diffusion_pytorch_model.safetensors").rename(folder / "vae" / "diffusion_pytorch_model.bin")
    with pytest.raises(MissingPart, match=r"vae has no safetensors; its \.bin is a pickle"):
        baselines.load("stable", competition, "cpu", weights=str(folder))


def test_weights_that_lack_tensors_are_refused(competition: Competition, v1_4) -> None:
    folder = v1_4()
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    del tensors["conv_in.weight"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(UsageError, match="lack 1 and have 0 more"):
        baselines.load("stable", competition, "cpu", weights=str(folder))


def test_another_kind_of_pipeline_is_refused(competition: Competition, v1_4) -> None:
    folder = v1_4()
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}')
    with pytest.raises(UsageError, match="of a StableDiffusionXLPipeline"):
        baselines.load("stable", competition, "cpu", weights=str(folder))


def test_a_hub_model_comes_from_the_local_cache_only(competition: Competition, v1_4, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    name = "CompVis/stable-diffusion-v1-4"
    with pytest.raises(MissingPart) as missing:
        baselines.load("stable", competition, "cpu", weights=name)
    assert f"hf download {name} --include '*.json'" in str(missing.value)
    assert "models--CompVis--stable-diffusion-v1-4" in str(missing.value)
    with (competition.root / "competition.toml").open("a") as file:
        file.write(f'[baselines.stable]\nweights = "{name}"\nsteps = 2\n')
    competition = Competition.load(competition.root)
    assert listing.missing_parts("stable", competition) == [f"weights {name}"]

    repository = tmp_path / "hub" / "models--CompVis--stable-diffusion-v1-4"
    (repository / "snapshots").mkdir(parents=True)
    v1_4().rename(repository / "snapshots" / "133a221")
    (repository / "snapshots" / "older").mkdir()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("133a221")
    assert listing.missing_parts("stable", competition) == []
    images = baselines.load("stable", competition, "cpu").generate(PROMPTS, SEEDS)
    assert images.shape == (4, 16, 16, 3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to:UserWarning")
def test_compiled_it_draws_the_same(competition: Competition, v1_4, monkeypatch) -> None:
    # The compiler's own back end would take minutes; what is traced, as one graph, is the same.
    backend = partialmethod(torch.nn.Module.compile, backend="eager")
    monkeypatch.setattr(torch.nn.Module, "compile", backend)
    options = {"weights": str(v1_4()), "steps": 2}
    plain = baselines.load("stable", competition, "cpu", **options)
    compiled = baselines.load("stable", competition, "cpu", compile=True, **options)
    assert "compile" not in plain.settings
    assert compiled.settings["compile"] is True
    difference = np.abs(plain.generate(PROMPTS, SEEDS).astype(int) - compiled.generate(PROMPTS, SEEDS))
    assert difference.max() <= 1


def test_compile_is_an_option_without_a_value(competition: Competition) -> None:
    assert parser().parse_args(["stable", "--compile"]).compile is True
    assert parser().parse_args(["stable"]).compile is None
    with (competition.root / "competition.toml").open("a") as file:
        file.write("[baselines.stable]\ncompile = 1\n")
    with pytest.raises(CompetitionError, match="compile is 1; it must be true or false"):
        recipe("stable", Competition.load(competition.root))
