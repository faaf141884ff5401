from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest

from submission import Competition, CompetitionError, MissingPart
from submission.images import read_image


def _with(competition, old, new):
    file = competition.root / "competition.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return file


def test_load_by_file_by_folder_and_by_name(tiny_competition):
    competition = tiny_competition()
    assert Competition.load(competition.root / "competition.toml") == competition
    assert competition.tier("baseline").thresholds == {"fid": 90.0, "clip_i": 0.75, "clip_t": 0.27}
    assert (competition.image_size, competition.gate, competition.backbones.inception) == (64, "baseline", "bestiary")
    assert len(competition.prompts) == 8


def test_a_byte_order_mark_is_no_part_of_the_toml(tiny_competition):
    competition = tiny_competition()
    file = competition.root / "competition.toml"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert Competition.load(file) == competition


def test_every_shipped_competition_loads_and_has_its_data_or_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("DRAWOFF_DATA", str(tmp_path))
    assert {"bestiary", "coco2014", "maplestory", "brainrot"} <= set(Competition.names())
    for name in Competition.names():
        competition = Competition.load(name)
        assert competition.name == name
        if not competition.files["prompts"].startswith("{data}/"):
            assert len({prompt.image_name for prompt in competition.prompts}) == len(competition.prompts)
            continue
        with pytest.raises(MissingPart, match=rf"looked for: {tmp_path / name}") as caught:
            _ = competition.prompts
        assert competition.data_help
        assert competition.data_help.replace("{data}", str(tmp_path / name)) in str(caught.value)


def test_unknown_competition_lists_the_known_ones():
    with pytest.raises(CompetitionError, match="no competition 'nowhere'"):
        Competition.load("nowhere")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("image_size = 64", "image_sise = 64", "competition.image_sise: is not a key"),
        ("image_size = 64", "image_size = true", "competition.image_size"),
        ("image_size = 64", "image_size = 64.5", "competition.image_size"),
        ("image_size = 64", "image_size = 0", "competition.image_size"),
        ("fid = 90.0", "fid = nan", "tiers.0.fid"),
        ("fid = 90.0", "fid = inf", "tiers.0.fid"),
        ("fid = 90.0", 'fid = "90"', "tiers.0.fid"),
        ("fid = 90.0", "fid = -1", "tiers.0.fid"),
        ("clip_t = 0.27", "clip_t = 27.0", "tiers.0.clip_t"),
        ("clip_t = 0.27", "lpips = 0.2", "tiers.0.lpips: is not a key"),
        ("[[tiers]]", "[[teirs]]", "teirs: is not a key"),
        ('gate = "baseline"', 'gate = "best"', "competition.gate: there is no tier 'best'"),
        ('name = "tiny"', 'name = "../tiny"', "competition.name"),
        ('prompts = "test.json"', "", "competition.prompts: is missing"),
        ('inception = "bestiary"', 'inception = "Clean"', "backbones.inception"),
        ('name = "baseline"\nfid = 90.0\nclip_i = 0.75\nclip_t = 0.27', 'name = "baseline"', "has no threshold"),
        ("[[tiers]]", '[[tiers]]\nname = "baseline"\nfid = 1.0\n[[tiers]]', "is taken by an earlier tier"),
        ("[competition]", "[competition", "is not TOML"),
    ],
)
def test_bad_toml_names_file_and_key(tiny_competition, old, new, said):
    file = _with(tiny_competition(), old, new)
    with pytest.raises(CompetitionError) as caught:
        Competition.load(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


_MARKS = "[marks]\nfid = 0.5\nclip_t = 0.5\n"


@pytest.mark.parametrize(
    ("tier", "marks", "said"),
    [
        ("mark = 100", "", "there is a tier with a mark but not [marks]"),
        ("", _MARKS, "there is [marks] but not a tier with a mark"),
        ("mark = 101", _MARKS, "tiers.0.mark"),
        ("mark = 100", "[marks]\nfid = 0.5\n", "the metrics' shares add up to 0.5, not to 1"),
        ("mark = 100", "[marks]\nfid = 0.5\nlpips = 0.5\n", "marks.lpips: is not a metric"),
        ("mark = 100", "[marks]\nfid = 0.5\nis = 0.5\n", "the tier 'baseline' has a mark but no threshold for it"),
    ],
)
def test_marks_that_cannot_be_given(tiny_competition, tier, marks, said):
    competition = tiny_competition()
    _with(competition, "fid = 90.0", f"fid = 90.0\n{tier}")
    with pytest.raises(CompetitionError) as caught:
        Competition.load(_with(competition, "[[tiers]]", f"{marks}[[tiers]]"))
    assert said in str(caught.value)


def test_baselines_are_passed_on_unread(tiny_competition):
    file = _with(tiny_competition(), "[backbones]", '[baselines.mine]\nanything = [1, "two"]\n[backbones]')
    assert Competition.load(file).baselines == {"mine": {"anything": [1, "two"]}}


def test_absent_data_matters_only_when_it_is_needed(tiny_competition, monkeypatch, tmp_path):
    competition = tiny_competition()
    shutil.rmtree(competition.root / "references")
    monkeypatch.setenv("DRAWOFF_DATA", str(tmp_path / "data"))
    file = _with(competition, 'references = "references"', 'references = "{data}/test"')
    competition = Competition.load(file)
    assert competition.prompts
    with pytest.raises(MissingPart) as caught:
        competition.references()
    assert str(tmp_path / "data" / "tiny" / "test") in str(caught.value)
    # `make data COMPETITION=tiny` would find no competition of that name.
    assert f"ask the host of the competition for what is not here, and put it there: {tmp_path}" in str(caught.value)
    assert "make data" not in str(caught.value)


def test_references_from_folder_and_zip_are_the_same(tiny_competition):
    competition = tiny_competition()
    folder = competition.references()
    archive = competition.root / "references.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted((competition.root / "references").iterdir(), reverse=True):
            file.write(path, f"test/{path.name}")
    zipped = Competition.load(_with(competition, '"references"', '"references.zip"')).references()
    assert folder.names == zipped.names == tuple(prompt.image_name for prompt in competition.prompts)
    assert folder.sha256 == zipped.sha256
    name = folder.names[3]
    expected = read_image((competition.root / "references" / name).read_bytes(), 64)
    assert np.array_equal(folder.read(name), expected)
    assert np.array_equal(zipped.read(name), expected)


def test_references_hash_follows_the_content(tiny_competition):
    competition = tiny_competition()
    before = competition.references().sha256
    root = competition.root / "references"
    (root / "0_main.png").write_bytes((root / "1_main.png").read_bytes())
    assert competition.references().sha256 != before


def test_a_prompt_without_reference_is_named(tiny_competition):
    competition = tiny_competition()
    (competition.root / "references" / "5_main.png").unlink()
    (competition.root / "references" / "more.png").write_bytes(b"not one of ours")
    with pytest.raises(CompetitionError, match=r"5_main\.png: has no reference"):
        competition.references()


def _statistics(competition, mean, covariance):
    np.save(competition.root / "mu.npy", mean)
    np.save(competition.root / "sigma.npy", covariance)
    return Competition.load(_with(competition, 'references = "references"', 'statistics = ["mu.npy", "sigma.npy"]'))


def test_statistics(tiny_competition):
    features = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)
    competition = _statistics(tiny_competition(), features.mean(0), np.cov(features.T))
    found = competition.statistics()
    mean, covariance = found.mean, found.covariance
    assert mean.dtype == covariance.dtype == np.float64
    assert np.array_equal(covariance, np.cov(features.T))
    assert len(competition.statistics_sha256) == 64
    assert not competition.has_references


@pytest.mark.parametrize(
    ("mean", "covariance", "said"),
    [
        (np.zeros(3), np.eye(4), "has the shape"),
        (np.zeros((3, 1)), np.eye(3), "has the shape"),
        (np.zeros(2), np.array([[1.0, 2.0], [0.0, 1.0]]), "not symmetric"),
        (np.zeros(2), -np.eye(2), "negative variances"),
        (np.array([0, np.nan]), np.eye(2), "not finite"),
        (np.array(["a", "b"]), np.eye(2), "floating-point"),
        (np.array([{}, {}], dtype=object), np.eye(2), "plain numbers"),
    ],
)
def test_bad_statistics(tiny_competition, mean, covariance, said):
    competition = _statistics(tiny_competition(), mean, covariance)
    with pytest.raises(CompetitionError, match=said):
        competition.statistics()


def test_a_statistics_header_that_claims_terabytes_is_refused(tiny_competition):
    competition = _statistics(tiny_competition(), np.zeros(2), np.eye(2))
    file = competition.root / "mu.npy"
    header = file.read_bytes().replace(b"'shape': (2,), }            ", b"'shape': (999999999999,), } ")
    assert b"999999999999" in header
    file.write_bytes(header)
    with pytest.raises(CompetitionError, match=r"mu\.npy"):
        competition.statistics()


def test_attributes(tiny_competition):
    competition = tiny_competition()
    assert competition.attributes() is None
    (competition.root / "attributes.json").write_text(json.dumps({"0_main.png": {"body": "slime"}}))
    file = _with(competition, 'references = "references"', 'attributes = "attributes.json"')
    assert Competition.load(file).attributes() == {"0_main.png": {"body": "slime"}}
    (competition.root / "attributes.json").write_text('{"0_main.png": ["slime"]}')
    with pytest.raises(CompetitionError, match="object of objects"):
        Competition.load(file).attributes()
