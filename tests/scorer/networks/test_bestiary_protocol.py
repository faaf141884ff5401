"""The embedded protocol with random weights in the shipped networks' shapes: attributes, accuracy, CSV, 64 pixels."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import scorer
from scorer.attributes import attribute_hits
from scorer.networks import embedded
from submission import Competition, CompetitionError

NAMES = [f"{i}.png" for i in range(12)]
LABELS = {
    "kind": ["red slime", "blue ghost", "red ghost"],
    "body": ["slime", "ghost"],
    "colour": ["red", "blue"],
    "second colour": ["none", "yellow"],
    "features": ["horns", "wings"],
    "item": ["none", "trident"],
    "action": ["main", "attack"],
}


@pytest.fixture
def classifier(monkeypatch: pytest.MonkeyPatch) -> embedded.BestiaryClassifier:
    """Random networks in place of the shipped ones."""
    torch.manual_seed(0)
    network = embedded.BestiaryClassifier(LABELS).eval()
    model = embedded.build_clip(torch.arange(49408)).eval()
    monkeypatch.setattr(embedded, "load_classifier", lambda device: network)
    monkeypatch.setattr(embedded, "load_clip", lambda device: (model, embedded.tokenizer()))
    monkeypatch.setattr(embedded, "sha256", lambda part: {"classifier": "a" * 64, "clip": "b" * 64}[part])
    return network


@pytest.mark.parametrize("size", [64, 96])
def test_accuracy_is_the_share_of_images_drawn_as_asked(
    classifier: embedded.BestiaryClassifier, make_competition: Callable, write_images: Callable, draw: Callable,
    tmp_path: Path, size: int,
) -> None:  # fmt: skip
    lines = ['references = "references"', 'attributes = "attributes.json"', f"image_size = {size}"]
    root = make_competition(NAMES, inception="bestiary", clip="bestiary", clip_weights="none", lines=lines)
    images = {name: draw(i, (size, size)) for i, name in enumerate(NAMES)}
    write_images(root / "references", images)
    # What the classifier sees in the first nine images is asked of them; of the rest, something else.
    asked = {}
    for i, (name, image) in enumerate(images.items()):
        if size == 64:
            pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
            seen = {key: value[0] for key, value in classifier.attributes(classifier.features(pixels)).items()}
        else:
            seen = {"body": "slime", "colours": ["red"], "features": [], "item": "none", "action": "main"}
        wrong = {"body": "dragon", "colours": ["grey"], "features": ["crown"], "item": "axe", "action": "die"}
        asked[name] = seen if i < 9 else wrong
    (root / "attributes.json").write_text(json.dumps(asked))
    card = scorer.score(
        root / "references", Competition.load(root), "cpu", progress=False, per_image=tmp_path / "images.csv"
    )
    assert card.accuracy is not None
    assert set(card.accuracy) == {"body", "colours", "features", "item", "action"}
    if size == 64:
        assert set(card.accuracy.values()) == {0.75}
        table = list(csv.DictReader((tmp_path / "images.csv").read_text().splitlines()))
        assert [row["body"] for row in table] == ["1"] * 9 + ["0"] * 3
    assert 1.0 <= card.scores["is"].value <= 3.0
    assert abs(card.scores["fid"].value) < 1e-3


def test_colours_have_their_places_and_features_are_a_set() -> None:
    seen = {
        "body": ["slime"] * 4, "item": ["none"] * 4, "action": ["main"] * 4,
        "colours": [["red", "blue"], ["red", "blue"], ["red"], ["red", "green"]],
        "features": [["horns", "wings"], ["horns"], [], ["crown"]],
    }  # fmt: skip
    wanted = {
        "colours": [["red", "blue"], ["blue", "red"], ["red", "blue"], ["red", "blue"]],
        "features": [["wings", "horns"], ["horns", "wings"], [], []],
    }
    names = [f"{i}.png" for i in range(4)]
    asked = {
        name: {"body": "slime", "item": "axe", "action": "main"} | {key: values[i] for key, values in wanted.items()}
        for i, name in enumerate(names)
    }
    hits = attribute_hits(seen, asked, names)
    assert hits["body"] == hits["action"] == [1.0] * 4
    assert hits["item"] == [0.0] * 4
    assert hits["colours"] == [1.0, 0.0, 1 / 2, 1 / 3]
    assert hits["features"] == [1.0, 1 / 2, 1.0, 0.0]
    with pytest.raises(CompetitionError, match=r"9\.png"):
        attribute_hits(seen, asked, ["9.png"])
