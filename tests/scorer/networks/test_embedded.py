"""The embedded backbones: what they do not know is harmless, and what is shipped is whole and small."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from competitions.bestiary.artist import world
from scorer.networks import embedded
from submission import Competition, MissingPart

CAPTIONS = ["Red slime monster with horns.", "A pale blue ghost, holding a sword. The monster is jumping."]
NONSENSE = ("blorptix", "quazzle", "zxcv", "frumious", "snark")


def shipped(part: str) -> pytest.MarkDecorator:
    there = (embedded.WEIGHTS / f"{part}.safetensors").is_file()
    return pytest.mark.skipif(not there, reason=f"scorer/weights/{part}.safetensors is not there")


# The token table


def table() -> embedded.CompactEmbedding:
    torch.manual_seed(0)
    return embedded.CompactEmbedding(torch.tensor([3, 7, 19]), 4, 20)


def test_known_tokens_have_rows_and_unknown_ones_are_zero() -> None:
    embedding = table()
    full = nn.Embedding(20, 4)
    with torch.no_grad():
        full.weight.zero_()
        full.weight[torch.tensor([3, 7, 19])] = embedding.weight
    tokens = torch.arange(20).view(4, 5)
    assert embedding(tokens).shape == (4, 5, 4)
    assert embedding(tokens).equal(full(tokens))
    assert not embedding(torch.tensor([[0, 18]])).any()
    assert embedding(torch.tensor([[19]])).any()


def test_unknown_tokens_get_no_gradient_and_known_ones_the_whole_of_theirs() -> None:
    embedding = table()
    embedding(torch.tensor([[7, 7, 0, 5, 19]])).sum().backward()
    assert embedding.weight.grad.equal(torch.tensor([[0.0] * 4, [2.0] * 4, [1.0] * 4]))
    embedding.zero_grad()
    embedding(torch.tensor([[0, 5, 18]])).sum().backward()
    assert not embedding.weight.grad.any()


# From a network to its file and back


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of scorer/weights, with the shipped configuration and labels of two things each."""
    (tmp_path / "clip.json").write_bytes((embedded.WEIGHTS / "clip.json").read_bytes())
    labels = {head: ["a", "b"] for head in embedded.HEADS}
    (tmp_path / "classifier.json").write_text(json.dumps(labels))
    monkeypatch.setattr(embedded, "WEIGHTS", tmp_path)
    monkeypatch.setattr(embedded, "LABELS_FILE", tmp_path / "classifier.json")
    monkeypatch.setattr(embedded, "CLIP_CONFIG_FILE", tmp_path / "clip.json")
    return tmp_path


def save(model: nn.Module, path: Path, half: bool = False) -> None:
    state = {name: t.half() if half and t.is_floating_point() else t for name, t in model.state_dict().items()}
    kept = {name: t.contiguous() for name, t in state.items() if not name.endswith("num_batches_tracked")}
    save_file(kept, path)


def random_clip() -> nn.Module:
    torch.manual_seed(0)
    known = torch.unique(embedded.tokenizer()(CAPTIONS))
    model = embedded.build_clip(known).eval()
    nn.init.normal_(model.text_projection, std=0.1)
    nn.init.normal_(model.token_embedding.weight)
    return model


def test_a_saved_clip_reads_captions_as_before(weights: Path) -> None:
    model = random_clip()
    save(model, weights / "clip.safetensors")
    loaded, tokenize = embedded.load_clip("cpu")
    tokens = tokenize([*CAPTIONS, "An entirely unknown sentence about teapots."])
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        # Not to the bit: attention takes another path through torch when nothing needs a gradient.
        torch.testing.assert_close(loaded.encode_text(tokens), model.encode_text(tokens), rtol=0, atol=1e-4)
        torch.testing.assert_close(loaded.encode_image(images), model.encode_image(images), rtol=0, atol=1e-4)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    # The table's rows belong to ids; a model with other rows would read other words.
    assert loaded.token_embedding.ids.tolist() == sorted(set(tokens[:2].flatten().tolist()))


def test_half_precision_on_disk_is_float32_in_use(weights: Path) -> None:
    model = random_clip()
    save(model, weights / "clip.safetensors", half=True)
    loaded, tokenize = embedded.load_clip("cpu")
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    with torch.inference_mode():
        a, b = (nn.functional.normalize(m.encode_text(tokenize(CAPTIONS)), dim=1) for m in (model, loaded))
    assert (a * b).sum(1).min() > 0.9999


def test_a_saved_classifier_sees_as_before(weights: Path) -> None:
    torch.manual_seed(0)
    model = embedded.BestiaryClassifier({head: ["a", "b"] for head in embedded.HEADS}).eval()
    save(model, weights / "classifier.safetensors")
    loaded = embedded.load_classifier("cpu")
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    features = loaded.features(images)
    assert features.shape == (3, embedded.FEATURE_DIM)
    assert features.dtype == torch.float32
    assert torch.allclose(features, model.features(images), rtol=0, atol=1e-5)
    assert torch.allclose(loaded.class_probabilities(features).sum(1), torch.ones(3))


@pytest.mark.parametrize("part", ["classifier", "clip"])
def test_weights_of_another_network_are_refused(weights: Path, part: str) -> None:
    torch.manual_seed(0)
    model = random_clip() if part == "clip" else embedded.BestiaryClassifier({h: ["a", "b"] for h in embedded.HEADS})
    path = weights / f"{part}.safetensors"
    load: Callable[[str], object] = {"clip": embedded.load_clip, "classifier": embedded.load_classifier}[part]
    with pytest.raises(MissingPart, match="make train MODEL=backbones"):
        load("cpu")
    save(model, path)
    whole = load_file(path)
    name = next(name for name in whole if name.endswith(".weight") and name != "token_embedding.weight")
    lacking = [{k: v for k, v in whole.items() if k != lost} for lost in (name, "token_embedding.ids") if lost in whole]
    for broken in (*lacking, {**whole, "another.weight": torch.zeros(2)}, {**whole, name: torch.zeros(2)}):
        save_file(broken, path)
        with pytest.raises(MissingPart, match="do not fit"):
            load("cpu")
    save_file(whole, path)
    for file, said in ((path, "is not a file of weights"), (path.with_suffix(".json"), "is not there, or damaged")):
        data = file.read_bytes()
        file.write_bytes(data[:-20])
        with pytest.raises(MissingPart, match=said):
            load("cpu")
        file.write_bytes(data)


# What is shipped


def test_the_labels_are_the_worlds() -> None:
    labels = json.loads(embedded.LABELS_FILE.read_text(encoding="utf-8"))
    assert tuple(labels) == embedded.HEADS
    worlds = {
        "kind": {f"{colour} {body}" for colour in world.COLOURS for body in world.BODIES},
        "body": set(world.BODIES),
        "colour": set(world.COLOURS),
        "second colour": {"none", *world.COLOURS},
        "features": set(world.FEATURES),
        "item": set(world.ITEMS),
        "action": set(world.ACTIONS),
    }
    for head, names in labels.items():
        assert len(names) == len(set(names))
        assert set(names) == worlds[head], head


@shipped("classifier")
@shipped("clip")
def test_the_weights_are_small() -> None:
    assert (
        sum((embedded.WEIGHTS / f"{part}.safetensors").stat().st_size for part in ("classifier", "clip")) <= 4_000_000
    )


@pytest.fixture(scope="module")
def clip() -> tuple[nn.Module, Callable[[list[str]], Tensor]]:
    return embedded.load_clip("cpu")


def embed(clip: tuple[nn.Module, Callable[[list[str]], Tensor]], texts: list[str]) -> Tensor:
    model, tokenize = clip
    with torch.inference_mode():
        return nn.functional.normalize(model.encode_text(tokenize(texts)), dim=1)


@pytest.fixture(scope="module")
def captions() -> list[str]:
    """50 captions of the test set, all different."""
    texts = list(dict.fromkeys(prompt.text for prompt in Competition.load("bestiary").prompts))
    return texts[:: len(texts) // 50][:50]


@shipped("clip")
@pytest.mark.parametrize("place", ["beginning", "middle", "end"])
def test_a_word_without_meaning_moves_a_caption_little(clip: tuple, captions: list[str], place: str) -> None:
    def with_word(text: str, word: str) -> str:
        words = text.split()
        words.insert({"beginning": 0, "middle": len(words) // 2, "end": len(words)}[place], word)
        return " ".join(words)

    strange = [with_word(text, NONSENSE[k % len(NONSENSE)]) for k, text in enumerate(captions)]
    near = (embed(clip, captions) * embed(clip, strange)).sum(1) >= 0.9
    assert near.float().mean() >= 0.9


@shipped("clip")
def test_a_word_with_meaning_moves_a_caption_more(clip: tuple, captions: list[str]) -> None:
    """Or the test above would pass with a model that reads nothing."""
    cosines = embed(clip, captions) @ embed(clip, captions).T
    others = cosines[~torch.eye(len(captions), dtype=torch.bool)]
    assert others.mean() < 0.6
    colours = dict(zip(world.COLOURS, [*world.COLOURS[1:], world.COLOURS[0]], strict=True))

    def recoloured(text: str) -> str:
        return " ".join(colours.get(word.lower(), word) for word in text.split())

    assert (embed(clip, captions) * embed(clip, [recoloured(text) for text in captions])).sum(1).mean() < 0.9


@shipped("clip")
def test_every_word_of_the_bestiary_is_known(clip: tuple) -> None:
    model, tokenize = clip
    texts = [prompt.text for prompt in Competition.load("bestiary").prompts]
    assert set(tokenize(texts).flatten().tolist()) <= set(model.token_embedding.ids.tolist())
