"""Files of weights, configurations and tokenizers that are damaged, changed or not there; loading a part of a file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from hostile_inputs.weights import FILES
from safetensors.torch import save_file
from torch import nn

import baselines
from baselines.pretrained import WEIGHTS
from baselines.weight_files import load_weights
from submission import Competition, MissingPart
from submission.errors import UsageError


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
