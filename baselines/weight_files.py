"""Reading what a folder of weights holds: networks, tokenizers, checkpoints, JSON.

What a file says is checked before it is believed, and of its weights all are loaded or none.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from submission import MissingPart, strict_json
from submission.errors import UsageError, shown
from submission.library_messages import quiet_libraries
from submission.paths import readable

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import CLIPTextModel, CLIPTokenizer

COUNTER = "num_batches_tracked"  # of training steps, batch norm's: it says nothing once the training is over


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises UsageError when that is not what it holds."""
    value, problems = strict_json.parse(path.read_bytes())
    if problems or not isinstance(value, dict):
        raise UsageError(f"{readable(path)} {problems[0] if problems else 'must be one object'}")
    return value


def load_network(kind: Any, folder: Path, *, more: bool = False, **options: Any) -> Any:
    """`kind.from_pretrained(folder, **options)`, a network of diffusers or transformers, from this disk alone.

    Raises:
        UsageError: where from_pretrained would leave a weight as it was made at random, or one of the file out (which
            `more` allows); a config.json that makes no such network.
        OSError: a file that is not there, or damaged.
    """
    options |= {"local_files_only": True, "output_loading_info": True, "ignore_mismatched_sizes": True}  # to count them
    with quiet_libraries(), loading(folder):
        network, report = kind.from_pretrained(folder, **options)
    # Older text encoders have a table of position ids, which is no weight.
    left = [key for key in report["unexpected_keys"] if not key.endswith("position_ids")]
    missing, others = len(report["missing_keys"]), len(report["mismatched_keys"])
    if missing or others or (left and not more):
        raise _other_weights(folder, "the network in its config.json", missing, len(left), others)
    return network


@contextmanager
def loading(folder: Path) -> Iterator[None]:
    """What diffusers and transformers raise for files that are not as they must be, as OSError and UsageError."""
    try:
        yield
    except (OSError, ImportError, MemoryError):
        raise
    except SafetensorError as error:  # diffusers itself makes this one an OSError
        raise OSError(f"{readable(folder)}: the weights are damaged: {error}") from error
    except Exception as error:  # a file that is JSON, but no configuration, raises nearly anything
        raise UsageError(f"{readable(folder)} does not load ({type(error).__name__}: {shown(str(error))})") from error


def tokenizer_files(folder: Path) -> list[Path]:
    """All of a CLIP's tokenizer. Raises MissingPart without its words: transformers would make one that has none."""
    files = [file for name in ("tokenizer.json", "vocab.json", "merges.txt") if (file := folder / name).is_file()]
    if not files or (len(files) == 1 and files[0].name != "tokenizer.json"):
        raise MissingPart(
            "the text encoder's tokenizer is not complete",
            looked_for=f"{readable(folder / 'tokenizer.json')}, or vocab.json and merges.txt",
            get_it="bring it from where the text encoder came from",
        )
    return sorted({*files, *folder.glob("*token*.json")})


def load_tokenizer(folder: Path, encoder: CLIPTextModel) -> CLIPTokenizer:
    """The tokenizer in `folder`, which cuts a text at the encoder's length at the latest.

    Raises:
        MissingPart: as `tokenizer_files`.
        UsageError: a file of it is damaged, or it has more tokens than the encoder.
    """
    from transformers import CLIPTokenizer

    tokenizer_files(folder)
    with loading(folder):
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.model_max_length = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)
    if len(tokenizer) > encoder.config.vocab_size:
        raise UsageError(
            f"the tokenizer in {readable(folder)} has {len(tokenizer)} tokens, the text encoder"
            f" {encoder.config.vocab_size}"
        )
    return tokenizer


def read_state(path: Path) -> dict[str, Tensor]:
    """A state dict on the CPU, in the file's own precision. Raises UsageError when the file is none."""
    import torch
    from safetensors.torch import load_file

    refused = f"{path} is not a checkpoint"
    hint = "a download that broke off is the usual cause: get it again"
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # weights_only: tensors and plain containers, none of the code that a pickle may carry.
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise UsageError(f"{refused} ({shown(str(error))})\n  -> {hint}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        # weights_only refuses code; bytes that are no pickle fail in any way.
        kind = "it is damaged, or holds more than tensors" if zipfile.is_zipfile(path) else "it is no PyTorch archive"
        raise UsageError(f"{refused} ({kind})\n  -> {hint}") from None
    if not isinstance(state, Mapping) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise UsageError(f"{refused}: it holds a {type(state).__name__}, not tensors by name")
    return dict(state)


def in_8_bits(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices and kernels in 8 bits (e4m3: Micikevicius et al., arXiv 2209.05433), vectors in 16, for a smaller file.

    What `load_weights` gives a network is computed in that network's own precision all the same. Batch norm's counter
    of training steps is left out.
    """
    import torch

    return {
        k: v.to(torch.float8_e4m3fn if v.dim() > 1 else torch.float16).contiguous()
        for k, v in weights.items()
        if not k.endswith(COUNTER)
    }


def load_weights(network: nn.Module, file: Path, part: str = "") -> None:
    """Gives `network`, in its own precision, the tensors of `file` (`read_state`) whose names begin with `part`.

    Raises:
        UsageError: it is no such file, or one of another network.
        OSError: it is not there.
    """
    tensors = {k.removeprefix(part): v for k, v in read_state(file).items() if k.startswith(part)}
    own = {k: v for k, v in network.state_dict().items() if k in tensors or not k.endswith(COUNTER)}
    both = own.keys() & tensors.keys()
    others = sum(own[name].shape != tensors[name].shape for name in both)
    if others or own.keys() != tensors.keys():
        raise _other_weights(file, "the network it is for", len(own) - len(both), len(tensors) - len(both), others)
    network.load_state_dict(tensors, strict=False)


def _other_weights(at: Path, network: str, missing: int, more: int, others: int) -> UsageError:
    return UsageError(
        f"the weights in {readable(at)} are not those of {network}: they lack {missing} and have {more} more than it, "
        f"{others} have another shape"
    )
