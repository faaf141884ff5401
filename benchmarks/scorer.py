"""How fast scoring, drawing and training are, and how the scorer grows. Run it on a machine that does nothing else.

  python -m benchmarks.scorer stack       our scorecard against the plain stack, interleaved, as ratios
  python -m benchmarks.scorer stages      where the time of one image goes
  python -m benchmarks.scorer frechet     the Fréchet step against scipy's matrix square root, as clean-fid takes it
  python -m benchmarks.scorer growth      time and peak memory for 250 … 16,000 images
  python -m benchmarks.scorer precision   how far `--precision fast` is from exact
  python -m benchmarks.scorer drawing     the shipped generators, by precision and memory format
  python -m benchmarks.scorer training    a step of their networks' trainings, likewise
  python -m benchmarks.scorer latents     a step of the course's UNet with cached latents against encoding each step
Without a word, the first four.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import drawing, latents, material
from scorer import score
from scorer.device import PRECISIONS, exact_float32, pick_device
from scorer.frechet import feature_statistics, frechet_distance
from scorer.metrics.psnr import psnr
from scorer.metrics.ssim import ssim
from scorer.networks.clip import load_clip
from scorer.networks.inception import load_inception
from scorer.networks.inception_v3 import OTHER_LAYOUT
from scorer.networks.resize import clean_fid_resize, open_clip_resize
from submission import Scorecard
from submission.images import read_image


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    add("--images", type=int, default=1063, help="images of the stack (default: %(default)s)")
    add("--size", type=int, default=256, help="pixels a side (default: %(default)s)")
    add("--repeats", type=int, default=3, help="rounds of the stack and the stages (default: %(default)s)")
    add("--clip", default="ViT-B-32-quickgelu", help="an open_clip model (default: %(default)s)")
    add("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    add("--batch-size", type=int, default=64, help="images per batch (default: %(default)s)")
    add("--workers", type=int, default=2, help="clean-fid's data loader processes (default: %(default)s)")
    add("--threads", type=int, default=os.cpu_count(), help="PyTorch's threads (default: %(default)s)")
    add("--growth", type=int, nargs="+", default=[250, 1000, 4000, 16000], help="numbers of images")
    add("--out", type=Path, help="write the numbers as JSON")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    results = {}
    for part in options.parts or USUAL:
        if part not in PARTS:
            parser.error(f"there is no part {part!r}")
        with tempfile.TemporaryDirectory(prefix="drawoff-bench-") as folder:
            print(f"\n== {part}", flush=True)
            results[part] = PARTS[part](options, Path(folder))
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def bench_stack(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds of the plain stack, of ours with a cold and a warm cache, and of the same bytes again, in turn."""
    from benchmarks.plain_stack import scores as plain_scores

    archive, weights, competition, entry = _official(options, folder)
    cache = folder / "cache"
    os.environ["DRAWOFF_CACHE"] = str(cache)

    def ours() -> dict[str, float]:
        card = score(
            entry, competition, options.device, inception_weights=archive, batch_size=options.batch_size, progress=False
        )
        assert not any(OTHER_LAYOUT in note for note in card.notes), card.notes
        return _values(card)

    plain = partial(plain_scores, competition, entry, archive, weights, options)
    ways: dict[str, Callable[[], dict[str, float]]] = {"plain": plain, "cold": ours, "warm": ours, "again": ours}
    seconds, work = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    values = {}
    for _ in range(options.repeats):
        shutil.rmtree(cache, ignore_errors=True)
        for way, run in ways.items():
            if way == "warm":  # the references are known, the submission is new
                shutil.rmtree(cache / "results")
            begun, begun_work = time.perf_counter(), time.process_time()  # of all threads: steadier on a busy machine
            values[way] = run()
            seconds[way].append(time.perf_counter() - begun)
            work[way].append(time.process_time() - begun_work)
            print(f"  {way:<6} {seconds[way][-1]:8.1f} s, {work[way][-1]:8.1f} s of CPU", flush=True)
    print(f"  {options.images} images of {options.size} px, {options.threads} threads, {options.device}")
    for way in ("cold", "warm", "again"):
        ratios, of_work = (np.divide(times["plain"], times[way]) for times in (seconds, work))
        span = f"({ratios.min():.2f} … {ratios.max():.2f})"
        print(f"  plain / {way:<6} {np.median(ratios):6.2f}×   {span}; CPU {np.median(of_work):.2f}×")
    for name, value in values["plain"].items():
        remark = "  (torchmetrics shuffles, splits and resizes in its own way)" if name == "is" else ""
        print(f"  {name:<6} plain {value:.6f}  ours {values['cold'][name]:.6f}{remark}")
    return {"seconds": seconds, "cpu_seconds": work, "values": values}


def _official(options: argparse.Namespace, folder: Path) -> tuple[Path, Path, Path, Path]:
    archive = material.write_archive(folder / "weights")
    weights = material.write_clip(folder / "clip.safetensors", options.clip)
    competition, entry = material.write_competition(
        folder, options.images, options.size, inception="clean", clip=options.clip, clip_weights=weights
    )
    return archive, weights, competition, entry


def bench_stages(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Milliseconds per image of each part of the pass, on one batch."""
    device, n = pick_device(options.device), options.batch_size
    archive = material.write_archive(folder)
    clip = load_clip(options.clip, str(material.write_clip(folder / "clip.safetensors", options.clip)), device)
    inception = load_inception("clean", device, archive)
    files = [material.picture(i, options.size) for i in range(2 * n)]
    pixels = torch.from_numpy(np.stack(files)).permute(0, 3, 1, 2).contiguous().to(device)
    a, b = pixels[:n], pixels[n:]
    png = folder / "picture.png"
    Image.fromarray(files[0]).save(png)
    data = png.read_bytes()
    texts = [f"A photo of {i} small animals beside a red house" for i in range(n)]
    stages = {
        "decode a PNG (one worker)": lambda: [read_image(data, options.size) for _ in range(n)],
        "resize for Inception": lambda: clean_fid_resize(a, 299),
        "Inception, with the resize": lambda: inception.features(a),
        "resize for CLIP": lambda: open_clip_resize(a, clip.size),
        "CLIP's image tower, with the resize": lambda: clip.image_features(a),
        "CLIP's text tower (once per prompt)": lambda: clip.text_features(texts),
        "PSNR": lambda: psnr(a, b),
        "SSIM": lambda: ssim(a, b),
    }
    result = {}
    with torch.inference_mode(), exact_float32():
        for name, stage in stages.items():
            result[name] = drawing.seconds({name: stage}, options.repeats, min)[name] / n * 1e3
            print(f"  {name:<38}{result[name]:9.3f} ms per image", flush=True)
    flops = 11.4e9 / (result["Inception, with the resize"] - result["resize for Inception"]) * 1e3
    print(f"  Inception's forward runs at {flops / 1e12:.3f} TFLOP/s")
    return result


def bench_frechet(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds of one Fréchet distance of 2048 features against a reference's statistics."""
    from cleanfid.fid import frechet_distance as clean_fid

    rng = np.random.default_rng(0)
    features, references = (np.maximum(rng.normal(size=(1063, 2048)), 0).astype(np.float32) for _ in range(2))
    mean, covariance = (table.numpy() for table in feature_statistics(references))

    def ours() -> float:
        return frechet_distance(features, mean, covariance)

    def theirs() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(clean_fid(features.mean(axis=0), np.cov(features, rowvar=False), mean, covariance))

    seconds = drawing.seconds({"ours": ours}, options.repeats, min) | drawing.seconds({"scipy": theirs}, 1, min)
    print(f"  ours {seconds['ours']:.3f} s, clean-fid with scipy {seconds['scipy']:.1f} s", end="")
    print(f": {seconds['scipy'] / seconds['ours']:.0f}×; values {ours():.6f} and {theirs():.6f}")
    return seconds


def bench_growth(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds and peak memory of whole scorer processes on 64-pixel images with the bestiary's networks."""
    result = {}
    base = None
    for n in (16, *options.growth):
        root = folder / str(n)
        competition, entry = material.write_competition(
            root, n, 64, inception="bestiary", clip="bestiary", clip_weights="shipped"
        )
        words = [str(entry), "--competition", str(competition), "--no-leaderboard", "--no-cache"]
        begun = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "scorer", *words, "--device", options.device], stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds, cpu = time.perf_counter() - begun, usage.ru_utime + usage.ru_stime
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        peak = usage.ru_maxrss / 1024  # Linux counts kilobytes
        base = base or (cpu, peak)
        result[n] = {"seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak}
        print(
            f"  {n:>7} images: {seconds:8.1f} s, {cpu:8.1f} s of CPU ({(cpu - base[0]) / n * 1e3:6.2f} ms per image), "
            f"peak {peak:7.0f} MiB ({peak - base[1]:+.0f}); less what 16 images take",
            flush=True,
        )
        shutil.rmtree(root)
    return result


def bench_precision(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What `--precision fast` changes, with the networks' random weights."""
    archive, _, competition, entry = _official(options, folder)
    usual: dict[str, Any] = {"inception_weights": archive, "cache": False, "progress": False}
    exact, fast = (
        _values(score(entry, competition, options.device, precision=precision, **usual)) for precision in PRECISIONS
    )
    for name, value in exact.items():
        print(f"  {name:<7} exact {value:.6f}  fast {fast[name]:.6f}  {(fast[name] / value - 1) * 100:+.3f} %")
    return {"exact": exact, "fast": fast}


def _values(card: Scorecard) -> dict[str, float]:
    return {name: score.value for name, score in card.scores.items() if score.value is not None}


USUAL = ("stack", "stages", "frechet", "growth")
PARTS: dict[str, Callable[[argparse.Namespace, Path], dict[str, Any]]] = {
    "stack": bench_stack,
    "stages": bench_stages,
    "frechet": bench_frechet,
    "growth": bench_growth,
    "precision": bench_precision,
    "drawing": lambda o, _: drawing.drawing(o.device, images=32, steps=4, repeats=o.repeats),
    "training": lambda o, _: drawing.training(o.device, o.repeats),
    "latents": lambda o, _: latents.latents(o.device, o.batch_size, o.repeats),
}


if __name__ == "__main__":
    sys.exit(main())
