"""A run's log: means of what its steps measure, a row of `stats.jsonl` at a time, and the same for TensorBoard."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from tensorboardX import SummaryWriter
from torch import Tensor

from baselines.training.losses import Numbers
from submission import atomic


class Log:
    """The log of one process. What is added stays where it was computed until a row is written: reading a number waits
    for all that a GPU has still to do.

    Args:
        path: of the file, beside which TensorBoard's go; None for a process that writes none.
        images: training images shown so far. Rows past them are dropped: a resumed run goes that way again.
    """

    def __init__(self, path: Path | None, images: int) -> None:
        self._path, self._since, self.count = path, time.monotonic(), 0
        self._added: dict[str, list[float | Tensor]] = {}
        if path is not None:
            rows = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            kept = [row for row in rows if row.endswith("}") and json.loads(row)["images"] <= images]
            atomic.write_text(path, "".join(f"{row}\n" for row in kept))
            self._events = SummaryWriter(str(path.parent), purge_step=images + 1)

    def close(self) -> None:
        if self._path is not None:
            self._events.close()

    def add(self, numbers: Numbers) -> None:
        """What one step measured."""
        for name, number in numbers.items():
            self._added.setdefault(name, []).append(number)
        self.count += 1

    def write(self, images: int, per_step: int, validation: Mapping[str, float] | None = None) -> dict[str, float]:
        """The means of what was added since the last row, as a row at so many images; a validation's numbers too."""
        row: dict[str, float] = {"images": images}
        if self.count:
            row["images_per_second"] = round(self.count * per_step / (time.monotonic() - self._since), 1)
        for name, values in self._added.items():
            row[name] = round(sum(_read(values)) / len(values), 6)
        row |= {f"validation_{name}": round(value, 6) for name, value in (validation or {}).items()}
        if self._path is not None:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            for name, value in row.items():
                if name != "images":
                    self._events.add_scalar(name, value, images)
            self._events.flush()
        self._added, self.count, self._since = {}, 0, time.monotonic()
        return row


def _read(values: Sequence[float | Tensor]) -> list[float]:
    """All of them at once: on a GPU each reading would wait."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    together = torch.stack(tensors).tolist() if len(tensors) == len(values) else values
    return [float(value) for value in together]
