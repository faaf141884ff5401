"""python -m baselines.glide inpaint | sheet | convert: edit an image, show many edited ones, make .pt safetensors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from baselines import options as option
from baselines import registry
from baselines.hardware import Hardware, decide, print_cost
from submission import Competition, atomic, commands
from submission.errors import MissingPart, UsageError, run
from submission.images import ImageProblem, image_bytes, read_image
from submission.progress import Progress
from submission.sheet import sheet_bytes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m baselines.glide",
        description=f"GLIDE beside drawing submissions (that is: {commands.module('baselines glide')}).",
        epilog="exit codes: 0 ok, 2 wrong usage, 4 a needed part is missing",
    )
    subcommands = parser.add_subparsers(dest="command", required=True, metavar="inpaint | sheet | convert")

    def subcommand(name: str, text: str) -> argparse.ArgumentParser:
        return subcommands.add_parser(name, help=text, description=text)

    inpaint = subcommand("inpaint", "draw a part of an image anew, by a prompt; the rest keeps its pixels")
    inpaint.add_argument("--image", type=Path, required=True, help="PNG or JPEG, of the size that the weights draw")
    inpaint.add_argument("--mask", type=Path, required=True, help="of the same size: white is drawn anew, black kept")
    inpaint.add_argument("--prompt", required=True, help="what the whole image should show")
    inpaint.add_argument("--out", type=Path, default=Path("inpainted.png"), help="the PNG to write (%(default)s)")
    inpaint.add_argument("--weights", metavar="DIR", help="OpenAI's weights, or your own (the shipped ones)")
    inpaint.add_argument("--seed", type=int, default=0, help="another seed fills it in another way (%(default)s)")
    inpaint.add_argument("--steps", type=int, help="of the base model (the weights' own)")
    inpaint.add_argument("--guidance-scale", type=float, help="classifier-free; 1 is none (the weights' own)")
    option.add_hardware(inpaint)

    text = "a page of a competition's references, parts of which are drawn anew, each by two prompts"
    sheet = subcommand("sheet", text)
    sheet.add_argument("--competition", default="bestiary", metavar="C", help="a name or a path (%(default)s)")
    sheet.add_argument("--out", type=Path, default=Path("glide-inpaint.png"), help="the PNG to write (%(default)s)")
    sheet.add_argument("--count", type=int, default=8, help="references (%(default)s)")
    sheet.add_argument("--weights", metavar="DIR", help="OpenAI's weights, or your own (the shipped ones)")
    sheet.add_argument("--seed", type=int, default=0, help="of the first reference (%(default)s)")
    option.add_hardware(sheet)

    convert = subcommand("convert", "write a safetensors beside each of OpenAI's .pt files, once")
    convert.add_argument("--weights", type=Path, required=True, metavar="DIR", help="the folder with the .pt files")
    return parser


def _inpaint(options: argparse.Namespace) -> None:
    asked = {name: getattr(options, name) for name in ("weights", "steps", "guidance_scale")}
    option.checked("inpaint", asked, asked)
    image = _read(options.image)
    mask = _read(options.mask, grey=True)
    _check_output(options)
    from baselines.glide.inpainting import Inpainter, check_sizes  # torch takes seconds to import
    from baselines.glide.weights import Folder

    folder = Folder.open(options.weights)
    fill = mask[..., 0] >= 128
    check_sizes(image, fill, folder.unet_config("upsample").image_size)  # before gigabytes are read
    inpainter = Inpainter(folder, _hardware(options), steps=options.steps, guidance_scale=options.guidance_scale)
    if inpainter.tokenizer.cuts(options.prompt):
        print(f"note: the prompt is cut at {inpainter.tokenizer.length} tokens", file=sys.stderr)
    with Progress("inpainting", inpainter.total_steps) as progress:
        edited = inpainter.inpaint(image, fill, options.prompt, options.seed, progress.advance)
    atomic.write_bytes(options.out, image_bytes(edited, options.out.name))
    print(f"inpainted {fill.sum():,} of {fill.size:,} pixels: {options.out}")


def _sheet(options: argparse.Namespace) -> None:
    _check_output(options)
    if options.count < 1:
        raise UsageError(f"--count {options.count}: must be at least 1")
    from baselines.glide.inpainting import Inpainter, draw_sheet
    from baselines.glide.weights import Folder

    competition = Competition.load(options.competition)
    inpainter = Inpainter(Folder.open(options.weights), _hardware(options))
    images = 2 * min(options.count, len(competition.prompts))
    with Progress("inpainting", images * inpainter.total_steps) as progress:
        page = draw_sheet(inpainter, competition, options.count, options.seed, progress.advance)
    atomic.write_bytes(options.out, sheet_bytes(page))
    print(options.out)


def _hardware(options: argparse.Namespace) -> Hardware:
    hardware = decide(options.device, options.precision, registry.MODELS["glide"].tolerates)
    print_cost(hardware)
    return hardware


def _check_output(options: argparse.Namespace) -> None:
    if options.out.suffix.lower() != ".png" or not options.out.absolute().parent.is_dir():
        raise UsageError(f"--out {options.out}: must be a .png in a folder that is there, so that it keeps every pixel")
    if not 0 <= options.seed < 2**63:
        raise UsageError(f"--seed {options.seed}: must be at least 0 and below 2^63")


def _read(path: Path, *, grey: bool = False) -> np.ndarray:
    try:
        return read_image(path.read_bytes(), None, grey=grey)
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder, not a file") from None
    except ImageProblem as problem:
        hint = f"\n  -> {problem.hint}" if problem.hint else ""
        raise UsageError(f"{path} {problem}{hint}") from None


def _convert(options: argparse.Namespace) -> None:
    from baselines.glide.weights import convert

    if not options.weights.is_dir():
        raise MissingPart("there is no such folder of weights", looked_for=options.weights)
    written = convert(options.weights)
    for path in written:
        print(f"wrote {path} ({path.stat().st_size:,} bytes)")
    print("the .pt files are no longer needed" if written else "every .pt has its safetensors already")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    options = _parser().parse_args(argv)
    {"inpaint": _inpaint, "sheet": _sheet, "convert": _convert}[options.command](options)
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
