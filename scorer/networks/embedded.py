"""The bestiary's own backbones: a classifier in Inception's part and a small CLIP, both trained by this project.

Their weights are shipped in scorer/weights (see the card there); `python -m experiments.backbones` makes them again.
Neither shares weights, seed or shape with a generator's text encoder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor, nn

from scorer.networks.weight_files import load_state_dict
from submission import MissingPart, commands
from submission.hashes import file_sha256

WEIGHTS = Path(__file__).parents[1] / "weights"
LABELS_FILE = WEIGHTS / "classifier.json"
CLIP_CONFIG_FILE = WEIGHTS / "clip.json"
FEATURE_DIM = 176
# The heads, and how many classes each has; `kind` is body plan x main colour, the classes of the Inception Score.
HEADS = ("kind", "body", "colour", "second colour", "features", "item", "action")


def weights_file(part: str) -> Path:
    """Where the weights of 'classifier' or 'clip' are. Raises MissingPart when they are not there."""
    path = WEIGHTS / f"{part}.safetensors"
    if not path.is_file():
        raise _missing(f"the bestiary's {part} is not there", path)
    return path


def _missing(what: str, path: Path) -> MissingPart:
    make = commands.make("train MODEL=backbones", "experiments.backbones")
    return MissingPart(what, looked_for=path, get_it=f"restore the file, or train it: {make}")


def sha256(part: str) -> str:
    """SHA-256 of the weights file of 'classifier' or 'clip', in hex."""
    return file_sha256(weights_file(part))


class Block(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(after), nn.ReLU())


class BestiaryClassifier(nn.Module):
    """A plain convolutional network, 64 x 64 pixels -> 176 features -> seven linear heads.

    `labels` maps each head to the names of its classes; 'features' is the one head whose classes are not exclusive.
    """

    def __init__(self, labels: dict[str, list[str]]) -> None:
        super().__init__()
        self.labels = labels
        widths = (3, 32, 32, 64, 64, 64, 112, 112, FEATURE_DIM, FEATURE_DIM)
        strides = (2, 1, 2, 1, 1, 2, 1, 2, 1)
        steps = zip(pairwise(widths), strides, strict=True)
        self.trunk = nn.Sequential(*(Block(*channels, stride) for channels, stride in steps))
        self.heads = nn.ModuleDict({head: nn.Linear(FEATURE_DIM, len(names)) for head, names in labels.items()})

    def features(self, images: UInt8[Tensor, "b 3 64 64"] | Float32[Tensor, "b 3 64 64"]) -> Float[Tensor, "b 176"]:
        """Features for FID: the last feature map's mean over its 4 x 4 places."""
        maps: Tensor = self.trunk(images.float() / 127.5 - 1)
        return maps.mean(dim=(2, 3))

    def class_probabilities(self, features: Float32[Tensor, "n 176"]) -> Float32[Tensor, "n k"]:
        """Probabilities of the 'kind' head (body plan x main colour), for the Inception Score."""
        logits: Tensor = self.heads["kind"](features)
        return logits.softmax(dim=1)

    def attributes(self, features: Float32[Tensor, "n 176"]) -> dict[str, list[Any]]:
        """What the pictures show, in the form of attributes.json: lists of n strings, or of n lists of strings."""

        def best(head: str) -> list[str]:
            return [self.labels[head][k] for k in self.heads[head](features).argmax(1).tolist()]

        colours = zip(best("colour"), best("second colour"), strict=True)
        worn = (self.heads["features"](features) > 0).tolist()
        return {
            "body": best("body"),
            "colours": [[first] if second == "none" else [first, second] for first, second in colours],
            "features": [[name for name, on in zip(self.labels["features"], row, strict=True) if on] for row in worn],
            "item": best("item"),
            "action": best("action"),
        }


def _read_object(file: Path) -> Any:
    """The object in a JSON file of the shipped ones. Raises MissingPart when it is not there, or damaged."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise _missing(f"the bestiary's {file.name} is not there, or damaged", file) from error


def _read(part: str) -> dict[str, Tensor]:
    """The half-precision tensors of 'classifier' or 'clip'. Raises MissingPart for a file that is none of tensors."""
    return load_state_dict(weights_file(part), what=f"the bestiary's {part}")


def _fill(model: nn.Module, part: str, state: dict[str, Tensor]) -> None:
    """Load half-precision `state` into a float32 model. Raises MissingPart when it is another model's."""
    own = model.state_dict()
    # Batch norm's counter of training steps is not shipped: it says nothing once the training is over.
    names = {name for name in own.keys() | state.keys() if not name.endswith("num_batches_tracked")}
    wrong = [name for name in names if name not in own or name not in state or own[name].shape != state[name].shape]
    if wrong:
        what = f"the weights of the bestiary's {part} do not fit this version's network ({min(wrong)})"
        raise _missing(what, weights_file(part))
    model.load_state_dict(state, strict=False)


def load_classifier(device: torch.device | str) -> BestiaryClassifier:
    """The shipped classifier in eval mode, float32. Raises MissingPart."""
    model = BestiaryClassifier(_read_object(LABELS_FILE))
    _fill(model, "classifier", _read("classifier"))
    return model.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)


class CompactEmbedding(nn.Module):
    """A token table that stores the rows of known tokens only; every other token is the zero vector.

    CLIP's vocabulary has 49,408 tokens, the bestiary's captions use a few hundred. While training, known tokens are
    sometimes taken for unknown ones, so that the model learns that a zero vector says nothing.
    """

    def __init__(self, ids: Int64[Tensor, " rows"], width: int, vocabulary: int) -> None:
        super().__init__()
        self.ids = nn.Buffer(ids.int())
        self.row_of = nn.Buffer(torch.zeros(vocabulary, dtype=torch.long), persistent=False)
        self.row_of[ids.long()] = torch.arange(1, len(ids) + 1)
        self.weight = nn.Parameter(torch.randn(len(ids), width) * 0.02)

    def forward(self, tokens: Int64[Tensor, "b length"]) -> Float[Tensor, "b length width"]:
        zero = self.weight.new_zeros(1, self.weight.shape[1])
        return nn.functional.embedding(self.row_of[tokens], torch.cat([zero, self.weight]))


class ImageTower(nn.Sequential):
    """The embedded CLIP's image tower: the classifier's kind of trunk, its last map projected place by place.

    On a few thousand pictures of 64 pixels, convolutions learn in minutes what a transformer needs hours for.
    """

    def __init__(self, image_size: int, widths: Sequence[int], embed_dim: int) -> None:
        blocks: list[nn.Module] = []
        for before, after in pairwise((3, *widths)):
            blocks += [Block(before, after, 2)] if before == 3 else [Block(before, after, 2), Block(after, after)]
        side = image_size // 2 ** len(widths)
        super().__init__(*blocks, nn.Flatten(), nn.Linear(widths[-1] * side * side, embed_dim, bias=False))
        self.image_size = (image_size, image_size)


def build_clip(token_ids: Int64[Tensor, " rows"]) -> nn.Module:
    """An open_clip.CLIP of the shape in weights/clip.json that knows the tokens `token_ids`, with random weights."""
    import open_clip

    config = _read_object(CLIP_CONFIG_FILE)
    image, text = config["image_tower"], config["text_cfg"]
    # open_clip builds an image tower of its own kinds only; the smallest one makes room for ours.
    model: nn.Module = open_clip.CLIP(
        config["embed_dim"], {"layers": 1, "width": 8, "head_width": 8, "patch_size": 32, "image_size": 32}, text
    )
    model.visual = ImageTower(image["image_size"], image["widths"], config["embed_dim"])
    model.token_embedding = CompactEmbedding(token_ids, text["width"], text["vocab_size"])
    return model


def tokenizer() -> Callable[[list[str]], Int64[Tensor, "b length"]]:
    """CLIP's tokenizer, as open_clip brings it, at the embedded model's length."""
    import open_clip

    text = _read_object(CLIP_CONFIG_FILE)["text_cfg"]
    tokenize: Callable[[list[str]], Tensor] = open_clip.SimpleTokenizer(context_length=text["context_length"])
    return tokenize


def load_clip(device: torch.device | str) -> tuple[nn.Module, Callable[[list[str]], Int64[Tensor, "b length"]]]:
    """The shipped CLIP (open_clip.CLIP, eval mode, float32) and its tokenizer. Raises MissingPart."""
    state = _read("clip")
    # Without the tokens' numbers the table has no rows, and `_fill` says what is missing.
    model = build_clip(state.get("token_embedding.ids", torch.zeros(0)).long())
    _fill(model, "clip", state)
    return model.to(device).eval().requires_grad_(False), tokenizer()
