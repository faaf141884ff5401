"""Weights by name: what a folder's sampling.json may say, what is missing, what is hashed."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import pytest
import torch
from hostile_inputs.weights import FILES
from safetensors.torch import save_file
from torch import nn

import baselines
from baselines.pretrained import WEIGHTS, Pretrained, chosen, find
from baselines.registry import MODELS
from baselines.weight_files import load_weights
from submission import Competition, MissingPart
from submission.errors import UsageError

DEFAULTS = {"steps": 100, "guidance_scale": 5.0, "batch_size": 8, "fixed_batch": None}


def folder(path: Path, sampling: str | None = None) -> Pretrained:
    if sampling is not None:
        (path / "sampling.json").write_text(sampling, encoding="utf-8")
    return Pretrained("monster", str(path))


def test_the_file_goes_over_the_defaults_and_what_was_asked_over_both(tmp_path: Path) -> None:
    assert folder(tmp_path).sampling(DEFAULTS) == DEFAULTS
    own = folder(tmp_path, '{"steps": 3, "fixed_batch": 4}').sampling(DEFAULTS)
    assert own == {**DEFAULTS, "steps": 3, "fixed_batch": 4}
    assert chosen(own, steps=2, guidance_scale=None) == {**own, "steps": 2}


@pytest.mark.parametrize(
    ("sampling", "complaint"),
    [
        ("{", "is not JSON"),
        ("[]", "must be one object"),
        ('{"guidance_scale": NaN}', "NaN"),
        ('{"stepz": 3}', "one object with some of steps, guidance_scale"),
        ('{"steps": 0}', "steps is 0"),
        ('{"steps": "3"}', "steps is '3'"),
        ('{"batch_size": true}', "batch_size is True"),
        ('{"fixed_batch": 2.5}', "fixed_batch is 2.5"),
    ],
)
def test_a_wrong_sampling_file_is_refused(sampling: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(complaint)):
        folder(tmp_path, sampling).sampling(DEFAULTS)


def test_what_must_be_said_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPart, match=r"no sampling.json[\s\S]*make train MODEL=monster"):
        folder(tmp_path).sampling(needs=("steps",))
    with pytest.raises(UsageError, match="does not say guidance_scale, batch_size"):
        folder(tmp_path, '{"steps": 3}').sampling(needs=("steps", "guidance_scale", "batch_size"))


def test_what_is_not_there_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(MissingPart, match=f"looked for: {tmp_path}/vae"):
        Pretrained("monster", str(tmp_path), ("vae",))
    with pytest.raises(MissingPart, match="make train MODEL=monster"):
        Pretrained("monster", str(tmp_path / "nothing"))
    with pytest.raises(MissingPart, match=r"hf download owner/no-such-model"):
        find("owner/no-such-model")


@pytest.mark.parametrize("parts", ["{", "[]", '{"folder": 3, "sha256": {}}', '{"folder": "..", "sha256": []}'])
def test_a_wrong_list_of_shared_parts_is_refused(parts: str, tmp_path: Path) -> None:
    (tmp_path / "parts.json").write_text(parts, encoding="utf-8")
    with pytest.raises(UsageError, match=r"parts\.json"):
        Pretrained("monster", str(tmp_path), ("vae",))


@pytest.mark.parametrize("data", [data for suffix, data in FILES.values() if suffix == "safetensors"])
@pytest.mark.parametrize("model", ["monster", "clip-guided"])
def test_a_broken_file_of_weights_is_no_bug(model: str, data: bytes, tmp_path: Path) -> None:
    folder = tmp_path / model
    shutil.copytree(WEIGHTS / model, folder)
    (file,) = (folder / {"monster": "text_encoder", "clip-guided": "guides"}[model]).glob("[mn]o*[dl].safetensors")
    file.write_bytes(data)
    with pytest.raises((UsageError, MissingPart), match=r"does not load|not of a guide|not those of the network"):
        baselines.load(model, Competition.load("bestiary"), "cpu", weights=str(folder))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("monster/distilled.safetensors", None, b""),
        ("monster/tokenizer/tokenizer.json", None, b"{"),
        ("monster/tokenizer/tokenizer_config.json", None, b"[]"),
        ("monster/unet/config.json", b'"norm_num_groups": 8', b'"norm_num_groups": 7'),
        ("monster/vae/config.json", b'"latent_channels": 8', b'"latent_channels": 4'),
        ("monster/text_encoder/config.json", b'"vocab_size": 807', b'"vocab_size": 900'),
        ("vq/transformer/diffusion_pytorch_model.safetensors", None, b"<html>404</html>"),
    ],
)
def test_a_damaged_or_changed_file_is_no_bug(file: str, old: bytes | None, new: bytes, tmp_path: Path) -> None:
    model = file.partition("/")[0]
    shutil.copytree(WEIGHTS / model, tmp_path / model)
    if model != "monster":
        (tmp_path / "monster").symlink_to(WEIGHTS / "monster")  # whose parts it shares
    data = (tmp_path / file).read_bytes()
    assert old is None or old in data
    (tmp_path / file).write_bytes(new if old is None else data.replace(old, new))
    with pytest.raises(UsageError, match=str((tmp_path / file).parent)):
        baselines.load(model, Competition.load("bestiary"), "cpu", weights=str(tmp_path / model))


def test_a_tokenizer_without_its_words_is_missing_and_one_without_a_length_has_the_encoders(tmp_path: Path) -> None:
    shutil.copytree(WEIGHTS / "monster", tmp_path / "monster")
    words = tmp_path / "monster" / "tokenizer"
    (words / "tokenizer_config.json").unlink()
    arguments = "monster", Competition.load("bestiary"), "cpu"
    assert len(baselines.load(*arguments, weights=str(words.parent)).generate(["a red slime"], [0])) == 1
    (words / "tokenizer.json").unlink()
    with pytest.raises(MissingPart, match=f"tokenizer is not complete[\\s\\S]*{words}/tokenizer.json"):
        baselines.load(*arguments, weights=str(words.parent))


def test_a_network_begins_with_a_files_weights_or_a_part_of_them(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    weight = torch.arange(6).view(3, 2).half()
    save_file({"head.weight": weight, "tail.weight": weight.T.contiguous()}, file)
    network = nn.Linear(2, 3, bias=False)
    load_weights(network, file, part="head.")
    assert network.weight.dtype == torch.float32
    assert torch.equal(network.weight, weight.float())
    with pytest.raises(UsageError, match="lack 1 and have 2 more"):
        load_weights(network, file)
    with pytest.raises(UsageError, match="1 have another shape"):
        load_weights(network, file, part="tail.")
    file.write_bytes(b"weights")
    with pytest.raises(UsageError, match="is not a checkpoint"):
        load_weights(network, file)


def test_the_shipped_folder_and_the_hash_of_a_file() -> None:
    shipped = Pretrained("clip-guided")
    assert shipped.path == WEIGHTS / "clip-guided"
    path = shipped.hashed("unet/config.json")
    assert shipped.sha256 == {"unet/config.json": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_the_files_of_a_row_are_there() -> None:
    shipped = {
        name for model in MODELS.values() for name in re.findall(r"\{weights\}/([\w-]+)$", " ".join(model.files))
    }
    assert shipped >= {"monster", "glide", "clip-guided"}
    assert all((WEIGHTS / name).is_dir() for name in shipped)
