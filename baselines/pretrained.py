"""A network from its folder of config.json and weights, all of them or none, without a library's own bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from submission.errors import UsageError
from submission.paths import readable
from submission.quiet import quiet_libraries


def load_network(kind: Any, folder: Path, *, more: bool = False, **options: Any) -> Any:
    """`kind.from_pretrained(folder, **options)`, a network of diffusers or transformers, from this disk alone.

    Raises:
        UsageError: where from_pretrained would leave a weight as it was made at random, or one of the file out (which
            `more` allows).
        OSError: a file that is not there.
    """
    with quiet_libraries():
        network, report = kind.from_pretrained(folder, local_files_only=True, output_loading_info=True, **options)
    # Older text encoders have a table of position ids, which is no weight.
    left = [key for key in report["unexpected_keys"] if not key.endswith("position_ids")]
    counts = len(report["missing_keys"]), len(left), len(report["mismatched_keys"])
    if counts[0] or counts[2] or (left and not more):
        raise UsageError(
            f"the weights in {readable(folder)} are not those of the network in its config.json: they lack {counts[0]} "
            f"and have {counts[1]} more than it, {counts[2]} have another shape"
        )
    return network
