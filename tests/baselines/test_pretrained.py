"""Weights by name: what a folder's sampling.json may say, what is missing, what is hashed."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from baselines.pretrained import WEIGHTS, Pretrained, chosen, find
from baselines.registry import MODELS
from submission import MissingPart
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
