"""`python -m benchmarks.hostile`: what broken and malicious inputs cost, the worst first, in seconds of CPU and in MB.

Each case of tests/support/hostile_inputs is judged in a process of its own that begins with everything imported; its
memory is counted beyond that of an honest submission. `--budget` judges whole submissions to the bestiary (1063 images)
in which every image is as expensive as it may be. Both by `submission validate`, or by the scorer, with `--scorer`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from submission import Competition
from submission.errors import run
from submission.images import image_bytes

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
import hostile_inputs
from hostile_inputs.images import FILES, MIB, PROGRESSIVE, ROWS, chunk, png
from tiny_competition import picture


class Cost(NamedTuple):
    """What judging one input took: seconds of CPU, the process's largest memory in MB, its exit code."""

    seconds: float
    megabytes: float
    code: int


def cost(words: Sequence[str], cwd: Path) -> Cost:
    """Judge in a process of its own."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.chdir(cwd)
            os.environ["DRAWOFF_CACHE"] = str(cwd / "cache")
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            code = run(importlib.import_module(f"{words[0]}.__main__").main, list(words[1:]))
        finally:
            os._exit(code)
    _, status, usage = os.wait4(child, 0)
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status))


def judging(words: Sequence[str], scorer: bool) -> list[str] | None:
    """The words of `submission validate` or, in their place, of the scorer, which has none for another command."""
    if not scorer:
        return list(words)
    return ["scorer", *words[2:], "--no-leaderboard", "--device", "cpu"] if words[1] == "validate" else None


def table(scorer: bool) -> None:
    """All cases that the one asked has a word for, the most expensive first."""
    base: dict[str, float] = {}
    costs: dict[str, Cost] = {}
    for case in hostile_inputs.CASES:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            hostile_inputs.competition(root)
            hostile_inputs.honest(root)
            words = case.make(root) or ["submission", "validate", "drawn", "--competition", "tiny"]
            if (asked := judging(words, scorer)) is None:
                continue
            found = costs[str(case)] = cost(asked, root)
        if case.name == "honest" or case.kind not in base:
            base[case.kind] = found.megabytes
        if found.code != case.code:
            print(f"{case}: exit {found.code}, expected {case.code}")
    print(f"{'seconds':>8} {'MB more':>8}  of {len(costs)} cases, the worst in either")
    more = {name: found.megabytes - base[name.partition(":")[0]] for name, found in costs.items()}
    worst = sorted(costs, key=lambda name: -costs[name].seconds)[:10] + sorted(more, key=lambda name: -more[name])[:10]
    for name in dict.fromkeys(worst):
        print(f"{costs[name].seconds:8.2f} {more[name]:8.1f}  {name}")


# What every image is.
IMAGES = {
    "a MiB of text in every PNG": png(chunk(b"tEXt", b"a\0" + b"x" * (MIB - 20_000))),
    "a MiB of chunks in every PNG": png(*[chunk(b"tEXt", b"x" * 1000)] * 900),
    "300 MiB of text in every PNG": png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(300 * MIB)))),
    "300 MiB behind every PNG's pixels": png(pixels=zlib.compress(ROWS + bytes(300 * MIB))),
    "a MiB behind every PNG": png() + random.Random(0).randbytes(MIB)[: MIB - 20_000],
    "32 scans in every JPEG": PROGRESSIVE[:-2] + PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2] * 20 + b"\xff\xd9",
    "a MiB of stuffed bytes in every JPEG": PROGRESSIVE[:-2] + b"\xff\0" * (MIB // 2 - 10_000) + b"\xff\xd9",
    "a MiB of restarts in every JPEG": PROGRESSIVE[:-2] + b"\xff\xd0" * (MIB // 2 - 10_000) + b"\xff\xd9",
    "900 tables in every JPEG": PROGRESSIVE[:2] + PROGRESSIVE[20:89] * 900 + PROGRESSIVE[2:],
    "a MiB of EXIF in every JPEG": FILES["jpeg with 15 times 4,900 tags"][0],
}
# What lies beside honest images.
BESIDE: dict[str, dict[str, bytes]] = {
    "honest": {},
    "a manifest of 110,000 wrong hashes": {
        "submission.json": b'{"images": {' + b", ".join(b'"%d": "x"' % i for i in range(110_000)) + b"}}"
    },
    "9,000 files more": {f"{number}-\u202e.png": b"" for number in range(9000)},
}


def budget(scorer: bool) -> None:
    """What judging whole submissions to the bestiary takes."""
    names = [prompt.image_name for prompt in Competition.load("bestiary").prompts]
    honest = None
    print(f"{'seconds':>8} {'MB more':>8}  exit")
    rng = random.Random(0)
    drawn = {name: image_bytes(picture(rng.randrange(2**30)), name) for name in names}
    cases = {what: drawn | files for what, files in BESIDE.items()}
    cases |= {what: dict.fromkeys(names, image) for what, image in IMAGES.items()}
    for packed, (what, files) in product((False, True), cases.items()):
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / ("drawn.zip" if packed else "drawn")
            if packed:
                with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                    for name, data in files.items():
                        archive.writestr(name, data)
            else:
                target.mkdir()
                for name, data in files.items():
                    (target / name).write_bytes(data)
            words = judging(["submission", "validate", str(target), "--competition", "bestiary"], scorer)
            found = cost(words or [], Path(folder))
        honest = honest or found
        more = found.megabytes - honest.megabytes
        print(f"{found.seconds:8.2f} {more:8.1f}  {found.code}  {what}{', zipped' * packed}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("--budget", action="store_true", help="whole submissions to the bestiary")
    parser.add_argument("--scorer", action="store_true", help="measure them, in place of checking them")
    arguments = parser.parse_args(argv)
    for module in ("scorer.score", "scorer.__main__", "leaderboard.__main__", "submission.__main__"):
        importlib.import_module(module)
    (budget if arguments.budget else table)(arguments.scorer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
