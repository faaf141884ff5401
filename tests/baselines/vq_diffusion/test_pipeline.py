"""Folders in the hub's layout, tiny and with random weights: loaded part by part, offline, and drawn from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import baselines
from baselines import pretrained
from baselines.vq_diffusion import pipeline
from submission import Competition, MissingPart
from submission.errors import UsageError

PROMPTS = [f"{colour} {body}" for colour in ("red", "blue", "green") for body in ("slime", "cat", "bird", "fish")]
SEEDS = list(range(100, 112))


@pytest.fixture
def competition(tiny_competition) -> Competition:
    return tiny_competition()


def test_both_styles_load_and_draw(folder: Path, competition):
    model = baselines.load("vq", competition, "cpu", weights=str(folder))
    images = model.generate(PROMPTS[:3], SEEDS[:3])
    assert images.shape == (3, 16, 16, 3)
    assert images.dtype == np.uint8
    assert len({image.tobytes() for image in images}) == 3
    assert model.settings == {"steps": 10, "guidance_scale": 5.0, "truncation_rate": 0.86}
    parts = {name.split("/")[0] for name in model.weights}
    assert parts == {"vqvae", "transformer", "text_encoder", "learned_classifier_free_sampling_embeddings"}
    assert all(len(sha) == 64 for sha in model.weights.values())


def test_both_styles_draw_the_same(pipeline_folders, competition):
    first, second = (
        baselines.load("vq", competition, "cpu", weights=str(path)).generate(PROMPTS[:2], [5, 6])
        for path in pipeline_folders
    )
    assert np.array_equal(first, second)


def test_an_image_is_the_same_in_any_batch(folder: Path, competition):
    model = baselines.load("vq", competition, "cpu", weights=str(folder))
    together = model.generate(PROMPTS, SEEDS)
    for size in (1, 3, 5, 8):
        parts = [model.generate(PROMPTS[k : k + size], SEEDS[k : k + size]) for k in range(0, len(PROMPTS), size)]
        assert np.array_equal(np.concatenate(parts), together)
    assert np.array_equal(model.generate(PROMPTS[::-1], SEEDS[::-1])[::-1], together)


def test_prompt_seed_and_scale_matter(folder: Path, competition):
    model = baselines.load("vq", competition, "cpu", weights=str(folder))
    same_seed = model.generate(["red slime", "blue cat", "red slime"], [1, 1, 2])
    assert not np.array_equal(same_seed[0], same_seed[1])
    assert not np.array_equal(same_seed[0], same_seed[2])
    unguided = baselines.load("vq", competition, "cpu", weights=str(folder), guidance_scale=1.0)
    assert unguided.settings["guidance_scale"] == 1.0
    assert not np.array_equal(unguided.generate(["red slime"], [1])[0], same_seed[0])


def test_fewer_steps_are_drawn_and_more_are_refused(folder: Path, competition):
    assert baselines.load("vq", competition, "cpu", weights=str(folder), steps=4).settings["steps"] == 4
    with pytest.raises(UsageError, match="trained with 10"):
        baselines.load("vq", competition, "cpu", weights=str(folder), steps=11)


def test_a_folder_without_learned_embeddings_is_guided_by_the_empty_prompt(make_pipeline, tmp_path, competition):
    make_pipeline(learnable=False).save_pretrained(tmp_path / "vq")
    model = baselines.load("vq", competition, "cpu", weights=str(tmp_path / "vq"))
    assert model.generate(PROMPTS[:1], SEEDS[:1]).shape == (1, 16, 16, 3)


def test_defaults_come_from_the_folder(folder: Path, competition):
    described = folder / "sampling.json"
    described.write_text(json.dumps({"guidance_scale": 1.5, "steps": 3, "batch_size": 2}), encoding="utf-8")
    model = baselines.load("vq", competition, "cpu", weights=str(folder))
    assert (model.settings["steps"], model.settings["guidance_scale"], model.batch_size) == (3, 1.5, 2)
    described.write_text(json.dumps({"guidance": 1.5}), encoding="utf-8")
    with pytest.raises(UsageError, match="guidance_scale"):
        baselines.load("vq", competition, "cpu", weights=str(folder))


@pytest.mark.parametrize("part", list(pipeline.PARTS))
def test_a_missing_part_is_named(folder: Path, part, competition):
    shutil.rmtree(folder / part)
    with pytest.raises(MissingPart, match=f"no {part}"):
        baselines.load("vq", competition, "cpu", weights=str(folder))


def test_a_shared_text_encoder_draws_the_same_and_must_be_the_one_it_was_made_for(folder: Path, tmp_path, competition):
    whole = baselines.load("vq", competition, "cpu", weights=str(folder))
    expected = whole.generate(PROMPTS, SEEDS)
    shared = ("text_encoder", "tokenizer")
    home = tmp_path / "home"
    pretrained.bring(shared, folder, home, share=False)
    pretrained.bring(shared, home, folder, share=True)
    for part in shared:
        shutil.rmtree(folder / part)
    sharing = baselines.load("vq", competition, "cpu", weights=str(folder))
    assert np.array_equal(sharing.generate(PROMPTS, SEEDS), expected)
    assert sharing.weights == whole.weights
    file = next((home / "text_encoder").glob("*.json"))
    file.write_text(file.read_text() + "\n")
    with pytest.raises(UsageError, match="not the one that the weights"):
        baselines.load("vq", competition, "cpu", weights=str(folder))


def test_a_part_without_its_file_is_named(folder: Path, competition):
    for file in (folder / "transformer").glob("diffusion_pytorch_model.*"):
        file.unlink()
    with pytest.raises(MissingPart, match="transformer has no safetensors"):
        baselines.load("vq", competition, "cpu", weights=str(folder))


def test_weights_of_another_network_are_refused(folder: Path, competition):
    for part, entry in (("transformer", "num_layers"), ("vqvae", "layers_per_block")):
        config = folder / part / "config.json"
        entries = json.loads(config.read_text(encoding="utf-8"))
        config.write_text(json.dumps({**entries, entry: 3}), encoding="utf-8")
        with pytest.raises(UsageError, match="not those of the network"):
            baselines.load("vq", competition, "cpu", weights=str(folder))
        config.write_text(json.dumps(entries), encoding="utf-8")


def test_a_hub_model_that_is_not_here_says_how_to_get_it(tmp_path, monkeypatch, competition):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingPart, match="not on this machine") as caught:
        baselines.load("vq", competition, "cpu", weights="microsoft/vq-diffusion-ithq")
    assert "hf download microsoft/vq-diffusion-ithq" in str(caught.value)


def test_a_hub_model_in_the_cache_is_drawn_from(folder: Path, tmp_path, monkeypatch, competition):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    repository = tmp_path / "cache" / "models--microsoft--vq-diffusion-ithq"
    shutil.copytree(folder, repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc", encoding="utf-8")
    model = baselines.load("vq", competition, "cpu", weights="microsoft/vq-diffusion-ithq", steps=1)
    assert model.generate(PROMPTS[:1], SEEDS[:1]).shape == (1, 16, 16, 3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_draws_on_a_gpu(folder: Path, competition):
    model = baselines.load("vq", competition, "cuda", weights=str(folder))
    together = model.generate(PROMPTS, SEEDS)
    assert np.array_equal(model.generate(PROMPTS[:3], SEEDS[:3]), together[:3])
