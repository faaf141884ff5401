"""From images to the tables of all metrics: each image decoded once, one batch on the device for all that measures.

Several processes measure a shard each, and what the cache holds of references and prompts is not measured again. Tables
are filled in any order and read in prompt order, in constant memory whatever the number of images.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from scorer.cache import references as reference_cache
from scorer.decoding import Pair, batches, decoded
from scorer.frechet import feature_statistics
from scorer.parallel import Processes
from scorer.setup import Setup
from submission import MissingPart, Problem, Submission, SubmissionError
from submission.progress import Progress

# A table up to this size stays in memory, on the device: Inception's 2048 features of 16,384 images. A larger one is
# spooled to a file in the temporary folder ($TMPDIR), from which the statistics read it in parts.
IN_MEMORY_BYTES = 2**27
_CHUNK = 4096  # rows looked at together, where a table may be larger than the memory
_ROUNDING = 3e-3  # as a fraction: of 8-bit resizes, of float32; statistics of other images differ by 1/√n and more

# Of uint8 images (B, 3, H, W) and their references: a value each (B,), None where they are too small for the metric.
PairMetric = Callable[[Tensor, Tensor], Tensor | None]


@dataclass(frozen=True)
class Measured:
    """What the metrics are made of; complete in the first process, and without tables in the others.

    Attributes:
        tables: a row an image: `inception` (N, D), `clip` (N, E), `hashes` (N, 438) and `text_rows` (N,), each image's
            row in `text`; with references `reference_hashes` (N, 30), `reference_inception`, `reference_clip` and the
            metrics of pairs (N,), each where every image is large enough. `text` (T, E) is of the distinct prompts.
        log_probabilities: of Inception's features, its classes'.
        device: where to compute; the tables may be elsewhere.
        no_references: why there are no references, None when there are.
        statistics: precomputed mean and covariance for FID, None for those of the references.
        unpaired: whether there are `statistics`, of images that are not the references of these prompts.
    """

    tables: dict[str, Tensor]
    log_probabilities: Callable[[Tensor], Tensor]
    device: torch.device
    no_references: str | None = None
    statistics: tuple[np.ndarray, np.ndarray] | None = None
    unpaired: bool = False


def measure(submission: Submission, setup: Setup, pair_metrics: Mapping[str, PairMetric]) -> Measured:
    """Measure a submission: each process its shard of the images, and of what is not known of references and prompts.

    Raises:
        SubmissionError: in each process, what any of them found wrong with the images.
        MissingPart: weights that give values that are not finite.
    """
    names, texts, settings = setup.names, setup.texts, setup.settings
    device, processes, cache = settings.where, settings.processes, settings.caches
    n = len(names)
    wanted = {"text": len(texts)}
    if setup.references is not None:
        wanted |= {"reference_inception": n, "reference_clip": n}
    files = reference_cache.cache_files(setup.fingerprint, names, device)
    known = reference_cache.read(files, wanted) if cache and processes.first else {}
    known = {name: table.to(device) if table.nbytes <= IN_MEMORY_BYTES else table for name, table in known.items()}
    missing = set(processes.from_first(sorted(wanted.keys() - known.keys())))

    problems: list[Problem] = []
    shard = processes.shard(n)
    pairs = decoded(submission, setup.references, names, shard, problems, settings.batch_size, settings.shows_progress)
    # After the first problem the rest is decoded, to report all, but no longer measured.
    whole = (pair for pair in pairs if not problems)
    measured = measure_images(whole, setup, shard, pair_metrics, missing)
    found = processes.gather([asdict(problem) for problem in problems])
    if any(found):
        raise SubmissionError([Problem(**problem) for part in found for problem in part], str(submission.path))
    for part in processes.gather([dict(submission.hashes), dict(submission.pixels), submission.disguised]):
        submission.take_hashes(*part)
    tables = _gathered(measured, n, device, processes)
    fresh = {name: tables.pop(name) for name in wanted if name in tables}
    if "text" in missing:
        embeddings = measure_texts(setup, processes.shard(len(texts)))
        fresh |= _gathered(embeddings, len(texts), device, processes)
    known |= fresh
    statistics = None if setup.statistics is None else setup.statistics.moments
    unpaired = statistics is not None and processes.first and not _are_of(known.get("reference_inception"), statistics)
    if cache and processes.first:
        reference_cache.write(files, fresh)
    tables |= {**known, "text_rows": torch.tensor(setup.text_rows, device=device)}
    return Measured(tables, setup.networks[0].log_probabilities, device, setup.no_references, statistics, unpaired)


def measure_images(
    pairs: Iterable[Pair], setup: Setup, shard: range, pair_metrics: Mapping[str, PairMetric], of_references: Set[str]
) -> dict[str, Tensor]:
    """The tables of every pair of `shard` that `Measured` describes, those of references' features only as in
    `of_references`.

    Nothing waits for the device before the last batch is queued. Raises MissingPart for weights that give NaN.
    """
    inception, clip = setup.networks
    rows = Rows(len(shard), shard.start)
    for batch in batches(pairs, setup.settings.batch_size, setup.settings.where):
        rows.add("inception", batch.rows, inception.features(batch.images))
        rows.add("clip", batch.rows, clip.image_features(batch.images))
        rows.add("hashes", batch.rows, batch.hashes)
        if batch.references is None or batch.reference_hashes is None:
            continue
        rows.add("reference_hashes", batch.rows, batch.reference_hashes)
        if "reference_inception" in of_references:
            rows.add("reference_inception", batch.rows, inception.features(batch.references))
        if "reference_clip" in of_references:
            rows.add("reference_clip", batch.rows, clip.image_features(batch.references))
        for name, metric in pair_metrics.items():
            if (values := metric(batch.images, batch.references)) is not None:
                rows.add(name, batch.rows, values)
    tables = rows.tensors()
    for network, name, sha256 in (("inception", inception.name, inception.sha256), ("clip", clip.name, clip.sha256)):
        if network in tables:
            require_finite(tables[network], f"{network} {name} (sha256 {sha256[:12]}…)")
    return tables


def require_finite(features: Tensor, network: str) -> None:
    """Raises MissingPart for features that say that the weights of `network` are no network's."""
    if not all(torch.isfinite(part).all() for part in features.split(_CHUNK)):
        raise MissingPart(f"the weights of {network} give values that are not finite")


def measure_texts(setup: Setup, shard: range) -> dict[str, Tensor]:
    """CLIP's embedding `text` (T, E) of those of the texts that are in `shard`."""
    texts, settings = setup.texts, setup.settings
    _, clip = setup.networks
    rows = Rows(len(shard), shard.start)
    # By length, because a batch costs as much as its longest text would alone.
    order = sorted(shard, key=lambda place: len(texts[place]))
    with Progress("reading prompts", len(order), show=settings.shows_progress) as shown:
        for start in range(0, len(order), settings.batch_size):
            places = order[start : start + settings.batch_size]
            rows.add("text", torch.tensor(places), clip.text_features([texts[place] for place in places]))
            shown.advance(len(places))
    return rows.tensors()


def _gathered(tables: dict[str, Tensor], n: int, device: torch.device, processes: Processes) -> dict[str, Tensor]:
    """The tables of all processes, each of its own shard of n rows, as tables of n rows; empty but in the first."""
    if processes.count == 1:
        return tables
    rows = Rows(n)
    for name, places, values in processes.parts_of(tables, n, device):
        rows.add(name, places, values)
    return rows.tensors()


def _are_of(features: Tensor | None, statistics: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether precomputed statistics are those of the prompts' own references, but for another tool's rounding."""
    if features is None or len(features) < 2:
        return False
    mean, covariance = (table.cpu().numpy() for table in feature_statistics(features))
    shift, change = np.linalg.norm(mean - statistics[0]), np.linalg.norm(covariance - statistics[1])
    return bool(shift <= _ROUNDING * np.trace(covariance) ** 0.5 and change <= _ROUNDING * np.linalg.norm(covariance))


class Rows:
    """Tables of n rows that are filled batch by batch in any order and read back in prompt order.

    `first` is the place of the first row among all images, for a process that measures a part of them.
    """

    def __init__(self, n: int, first: int = 0) -> None:
        self.n, self.first = n, first
        self._tables: dict[str, Tensor] = {}
        self._filled: Counter[str] = Counter()
        self._files: dict[str, mmap.mmap] = {}

    def add(self, name: str, rows: Int64[Tensor, " b"], values: Tensor) -> None:
        """Put `values` (B, …) where the images `rows` (B,) belong."""
        if name not in self._tables:
            shape = (self.n, *values.shape[1:])
            if values[0].nbytes * self.n <= IN_MEMORY_BYTES:
                self._tables[name] = torch.empty(shape, dtype=values.dtype, device=values.device)
            else:
                self._tables[name], self._files[name] = spooled(shape, values.dtype)
        table = self._tables[name]
        # One copy to the table's device; nothing waits for it.
        table[(rows - self.first).to(table.device, non_blocking=True)] = values.to(table.device)
        self._filled[name] += len(values)
        if name in self._files and hasattr(mmap, "MADV_DONTNEED"):
            self._files[name].madvise(mmap.MADV_DONTNEED)  # written pages go to the file's cache, not to our memory

    def tensors(self) -> dict[str, Tensor]:
        """Each complete table, (N, …) in prompt order; one that lacks rows is left out."""
        return {name: table for name, table in self._tables.items() if self._filled[name] == self.n}


def spooled(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, mmap.mmap]:
    """An empty CPU tensor whose values are in a file without a name, which goes with the tensor; and its mapping."""
    n_bytes = torch.Size(shape).numel() * dtype.itemsize
    with tempfile.TemporaryFile(prefix="drawoff-") as file:
        try:
            # Its place on the disk too: where that is full, writing through a mapping would end the process silently.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            else:
                os.ftruncate(file.fileno(), n_bytes)
        except OSError as error:
            error.filename = f"{tempfile.gettempdir()} ({n_bytes >> 20} MiB for features; TMPDIR names another folder)"
            raise
        mapping = mmap.mmap(file.fileno(), n_bytes)
    return torch.frombuffer(mapping, dtype=dtype).view(shape), mapping
