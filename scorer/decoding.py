"""From image files to batches on the device: each file is read and decoded once, ahead of its use."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from submission import CompetitionError, Problem, Submission, image_hashes
from submission.images import ImageProblem
from submission.progress import track
from submission.references import References, size_problem

# Pixels decoded ahead, and pixels waiting for company of their own size, hold at most about this much memory each.
AHEAD_BYTES = 2**27
WAITING_BYTES = 2**28

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Pair:
    """One decoded image, its row in prompt order, and the reference of the same name and shape; uint8 (H, W, 3).

    `hashes` tell copies apart, `reference_hashes` are the reference's (submission.image_hashes).
    """

    row: int
    image: UInt8[np.ndarray, "h w 3"]
    reference: UInt8[np.ndarray, "h w 3"] | None
    hashes: UInt8[np.ndarray, " q"]
    reference_hashes: UInt8[np.ndarray, " c"] | None


@dataclass(frozen=True)
class Batch:
    """Images of one shape on the device; `rows` (on the CPU, as the hashes) are their places in prompt order."""

    rows: Int64[Tensor, " b"]
    images: UInt8[Tensor, "b 3 h w"]
    references: UInt8[Tensor, "b 3 h w"] | None
    hashes: UInt8[Tensor, "b q"]
    reference_hashes: UInt8[Tensor, "b c"] | None


def read_pair(submission: Submission, references: References | None, row: int, name: str) -> Pair | Problem:
    """Decode the image `name` and its reference, or say what is wrong with the image."""
    try:
        _, image = submission.read(name)
    except ImageProblem as error:
        return error.problem(name)
    if references is None:
        return Pair(row, image, None, image_hashes.query(image), None)
    reference = references.read(name)
    if problem := size_problem(name, image.shape, reference.shape):
        return problem
    return Pair(row, image, reference, image_hashes.query(image), image_hashes.code(reference))


def decoded(
    submission: Submission,
    references: References | None,
    names: Sequence[str],
    shard: range,
    problems: list[Problem],
    batch_size: int,
    progress: bool,
) -> Iterator[Pair]:
    """Every image of `shard` (rows of `names`) that can be decoded, with its reference.

    What is wrong with the others is added to `problems`; what is missing was reported when the submission was opened.
    Raises CompetitionError that names every bad reference, not only the first one met.
    """
    present = set(submission.names)
    rows = [(row, names[row]) for row in shard if names[row] in present]
    side = submission.competition.image_size or 1024
    window = min(4 * batch_size, max(8, AHEAD_BYTES // (2 * 3 * side**2)))
    found = ahead(lambda item: read_pair(submission, references, *item), rows, window)
    try:
        yield from readable(track(found, "scoring images", total=len(rows), show=progress), problems)
    except CompetitionError:
        if references is not None:
            references.shapes()
        raise


def readable(found: Iterable[Item | Problem], problems: list[Problem]) -> Iterator[Item]:
    """What could be read; what is wrong with the rest is added to `problems`."""
    for item in found:
        if isinstance(item, Problem):
            problems.append(item)
        else:
            yield item


def ahead(function: Callable[[Item], Result], items: Sequence[Item], window: int) -> Iterator[Result]:
    """`function` of each item, in order, computed in threads up to `window` items before it is asked for.

    Threads suffice: Pillow's and zlib's decoders release the interpreter's lock.
    """
    workers = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        pending: deque[Future[Result]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= window:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def batches(pairs: Iterable[Pair], batch_size: int, device: torch.device) -> Iterator[Batch]:
    """The pairs in batches of one shape each."""
    for group in by_shape(pairs, lambda pair: pair.image, batch_size):
        references = [pair.reference for pair in group if pair.reference is not None]
        reference_hashes = [pair.reference_hashes for pair in group if pair.reference_hashes is not None]
        yield Batch(
            torch.tensor([pair.row for pair in group]),
            on_device([pair.image for pair in group], device),
            on_device(references, device) if references else None,
            torch.from_numpy(np.stack([pair.hashes for pair in group])),
            torch.from_numpy(np.stack(reference_hashes)) if references else None,
        )


def by_shape(
    items: Iterable[Item], image_of: Callable[[Item], np.ndarray], batch_size: int
) -> Iterator[Sequence[Item]]:
    """Groups whose images have one shape each. With one shape, the order is kept; with many, memory stays bounded."""
    waiting: dict[tuple[int, ...], list[Item]] = {}
    held = 0
    for item in items:
        group = waiting.setdefault(image_of(item).shape, [])
        group.append(item)
        held += image_of(item).nbytes
        if len(group) < batch_size:
            if sum(map(len, waiting.values())) < 8 * batch_size and held <= WAITING_BYTES:
                continue
            group = max(waiting.values(), key=len)
        held -= sum(image_of(member).nbytes for member in group)
        yield waiting.pop(image_of(group[0]).shape)
    yield from waiting.values()


def on_device(images: Sequence[UInt8[np.ndarray, "h w 3"]], device: torch.device) -> UInt8[Tensor, "b 3 h w"]:
    """Images of one shape as a batch on the device; nothing waits for the copy."""
    batch = torch.from_numpy(np.stack(images))
    if device.type == "cuda":
        with torch.cuda.device(device):  # pinned memory is the current GPU's, which need not be ours
            batch = batch.pin_memory()  # so that the copy does not wait for the kernels that run
    return batch.to(device, non_blocking=True).permute(0, 3, 1, 2).contiguous()
