"""CLIP embeddings against a plain open_clip loop on random weights, and the ways its weights go wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from scorer.cosines import cosines
from scorer.metrics.clip_t import mismatched
from scorer.networks.clip import find_clip, load_clip
from scorer.networks.clip_speed import ClassTokenBlock
from scorer.setup import distinct
from submission import CompetitionError, MissingPart
from submission.hashes import file_sha256

CPU = torch.device("cpu")
TINY_CLIP = "drawoff-test-quickgelu"  # made known to open_clip by the fixture tiny_clip_weights
TEXTS = ["Gray vulture monster with wings. The monster is attacking.", "a cat"]


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".bin"])
@torch.inference_mode()
def test_against_a_plain_open_clip_loop(tiny_clip_weights: Path, tmp_path: Path, draw: Callable, suffix: str) -> None:
    path = tiny_clip_weights
    if suffix != ".safetensors":
        path = tmp_path / f"weights{suffix}"
        torch.save(load_file(tiny_clip_weights), path)
    model, _, transform = open_clip.create_model_and_transforms(TINY_CLIP, pretrained=str(tiny_clip_weights))
    model.eval()
    tokens = open_clip.get_tokenizer(TINY_CLIP)(TEXTS)

    ours = load_clip(TINY_CLIP, str(path), CPU)
    assert not ours.model.training
    text_features = ours.text_features(TEXTS)
    expected_text = torch.nn.functional.normalize(model.encode_text(tokens), dim=1)
    torch.testing.assert_close(text_features, expected_text, rtol=0, atol=1e-6)
    for i, size in enumerate([(64, 64), (256, 256), (97, 180), (320, 240)]):
        image = draw(i, size)
        expected = torch.nn.functional.normalize(model.encode_image(transform(Image.fromarray(image))[None]), dim=1)
        features = ours.image_features(torch.from_numpy(image).permute(2, 0, 1)[None])
        torch.testing.assert_close(features, expected, rtol=0, atol=1e-6)
        cosine = cosines(features.expand(2, -1), text_features)
        torch.testing.assert_close(cosine, (expected_text @ expected[0]).double(), rtol=0, atol=1e-6)


@torch.inference_mode()
def test_texts_of_any_length_and_the_work_that_is_left_out(tiny_clip_weights: Path) -> None:
    model = open_clip.create_model(TINY_CLIP, pretrained=str(tiny_clip_weights)).eval()
    ours = load_clip(TINY_CLIP, str(tiny_clip_weights), CPU)
    assert isinstance(ours.model.visual.transformer.resblocks[-1], ClassTokenBlock)
    assert not any(isinstance(module, open_clip.transformer.QuickGELU) for module in ours.model.visual.modules())
    texts = ["", "a", "red monster " * 3, "dog " * 75, "dog " * 90]
    expected = torch.nn.functional.normalize(model.encode_text(open_clip.get_tokenizer(TINY_CLIP)(texts)), dim=1)
    for part in ([0], [1, 2], [0, 1, 2, 3, 4]):
        features = ours.text_features([texts[i] for i in part])
        torch.testing.assert_close(features, expected[part], rtol=0, atol=1e-6)


def test_weights_given_on_disk_replace_the_file_named(tiny_clip_weights: Path) -> None:
    assert load_clip(TINY_CLIP, "not-there.safetensors", CPU, tiny_clip_weights).sha256


def test_another_preprocessing_is_another_network(tiny_clip_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = {"mean": open_clip.OPENAI_DATASET_MEAN, "interpolation": "bicubic", "resize_mode": "shortest"}
    other = [{"mean": (0.5, 0.5, 0.5)}, {"std": (0.5, 0.5, 0.5)}, {"resize_mode": "squash"}]
    other.append({"resize_mode": "squash", "interpolation": "bilinear"})
    tags = {f"tag{number}": {"quick_gelu": True, **usual, **changes} for number, changes in enumerate(({}, *other))}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, TINY_CLIP, tags)
    hashes = [find_clip(TINY_CLIP, tag, tiny_clip_weights).sha256 for tag in tags]
    assert hashes[0] == file_sha256(tiny_clip_weights)
    assert len(set(hashes)) == len(hashes)


def test_truncated_prompts_are_counted(tiny_clip_weights: Path) -> None:
    clip = load_clip(TINY_CLIP, str(tiny_clip_weights), CPU)
    assert clip.truncated(["red monster " * 40, "a cat", "dog " * 75, "dog " * 76]) == 2


def test_the_other_gelu_is_refused() -> None:
    with pytest.raises(CompetitionError, match="ViT-B-32-quickgelu"):
        load_clip("ViT-B-32", "openai", CPU)
    with pytest.raises(CompetitionError, match="neither a file nor one of open_clip's weights"):
        load_clip("ViT-B-32-quickgelu", "laion2b_s34b_b79k", CPU)


def test_unknown_model_and_missing_weights(tiny_clip_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(CompetitionError, match="not a model of open_clip"):
        load_clip("ViT-Z-99", "openai", CPU)
    with pytest.raises(CompetitionError, match="clip_weights"):
        load_clip(TINY_CLIP, None, CPU)
    with pytest.raises(MissingPart, match=r"nowhere\.safetensors"):
        load_clip(TINY_CLIP, str(tmp_path / "nowhere.safetensors"), CPU)
    torch.save({"visual.proj": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(MissingPart, match="does not fit"):
        load_clip(TINY_CLIP, str(tmp_path / "other.pt"), CPU)


def test_no_internet_names_the_file_and_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr("socket.create_connection", offline)
    monkeypatch.setattr("open_clip.pretrained.hf_hub_download", offline)
    with pytest.raises(MissingPart) as caught:
        load_clip("ViT-B-32-quickgelu", "openai", CPU)
    assert "timm/vit_base_patch32_clip_224.openai" in str(caught.value)
    assert "--clip-weights" in str(caught.value)


def test_an_earlier_download_is_used_without_internet(tiny_clip_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, file: str(tiny_clip_weights))
    monkeypatch.setattr("open_clip.download_pretrained", lambda *_: pytest.fail("asked the hub"))
    with pytest.raises(MissingPart, match=r"clip\.safetensors does not fit"):  # it is the tiny network's
        load_clip("ViT-B-32-quickgelu", "openai", CPU)


def test_openais_torchscript_archive_is_refused_with_the_file_to_use(clean_weights: Path) -> None:
    with pytest.raises(MissingPart, match=r"open_clip_model\.safetensors"):
        load_clip("ViT-B-32-quickgelu", "openai", CPU, clean_weights)


def test_distinct_and_mismatched_texts() -> None:
    texts, index = distinct(["a", "b", "a", "c", "b"])
    assert texts == ["a", "b", "c"]
    assert index == [0, 1, 0, 2, 1]
    wrong = mismatched(torch.tensor(index), 3)
    assert all(a != b for a, b in zip(index, wrong.tolist(), strict=True))
    with pytest.raises(ValueError, match="wrong prompt"):
        mismatched(torch.tensor([0, 0]), 1)


def test_cosines_are_raw() -> None:
    a = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    b = torch.tensor([[-2.0, 0.0], [4.0, 3.0]])
    assert cosines(a, b).tolist() == pytest.approx([-1.0, 0.96])
