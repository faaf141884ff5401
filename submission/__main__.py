"""python -m submission validate | import | pack | sheet: what a participant does with images before handing them in.

`data` says what of a competition's data is on this machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from submission import atomic, commands
from submission.archive import open_files, write_zip
from submission.competition import Competition, own_files
from submission.errors import CompetitionError, MissingPart, Problem, SubmissionError, UsageError, run, say, shown
from submission.files import FolderFiles
from submission.image_hashes import hash_folder, write_hashes
from submission.image_names import SUFFIXES
from submission.images import max_file_bytes
from submission.import_picture import FITS
from submission.import_submission import import_submission
from submission.manifest import MANIFEST_NAME
from submission.safe_read import NotReadable
from submission.sheet import Ranking, draw_sheet, sheet_bytes, worst
from submission.submission import Submission, read_manifest

_Add = Callable[..., argparse.Action]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m submission",
        description="Check, pack and look at a submission: a folder (or zip) of one image per prompt.",
        epilog="exit codes: 0 ok, 2 wrong usage, 3 invalid submission or competition, 4 a needed part is missing",
    )
    subcommands = parser.add_subparsers(dest="command", required=True, metavar=" | ".join(_COMMANDS))
    shipped = ", ".join(Competition.names())
    where = f"a shipped competition ({shipped}), or the path of a competition.toml or of its folder"

    def command(name: str, text: str, *aliases: str, files: bool = True) -> _Add:
        made = subcommands.add_parser(name, help=text, description=text, aliases=aliases)
        if files:
            made.add_argument("submission", metavar="DIR", type=Path, help="the folder of images, or a zip of it")
        return made.add_argument

    def output(add: _Add, name: str, what: str = "file") -> None:
        add("--out", "-o", type=Path, default=Path(name), help=f"the {what} to write (default: %(default)s)")

    # `check` is its old name: `make check` and `python -m leaderboard check` are the gate, which is another thing.
    add = command("validate", "report every problem of a submission at once", "check")
    add("--competition", "-c", required=True, metavar="C", help=where)

    text = "make a valid submission of pictures drawn elsewhere; each change is said, what is ambiguous is refused"
    importing = subcommands.add_parser("import", help=text, description=text)
    add = importing.add_argument
    add("source", metavar="DIR", type=Path, help="the folder of pictures, or a zip of it")
    add("--competition", "-c", required=True, metavar="C", help=where)
    add("--out", "-o", type=Path, required=True, metavar="DIR2", help="the folder to make")
    way = importing.add_mutually_exclusive_group().add_argument
    way("--mapping", type=Path, metavar="FILE", help="a CSV with a picture's file and its image name (or prompt) a row")
    way("--order", choices=["name"], help="the pictures, sorted by name, are in the order of the prompts")
    text = "what becomes of another shape: crop keeps the largest part in the middle (default: it is refused)"
    add("--fit", choices=FITS, help=text)

    add = command("pack", "write a submission as a zip; equal images give equal bytes")
    output(add, "submission.zip", "zip")
    add("--competition", "-c", metavar="C", help=f"check the submission first; {where}")
    add("--overwrite", action="store_true", help="replace --out when it exists")

    add = command("sheet", "draw a contact sheet: images, references and prompts on one page")
    add("--competition", "-c", required=True, metavar="C", help=where)
    output(add, "sheet.png", "PNG")
    add("--n", type=_positive, default=64, help="how many images, spread over the prompts (default: %(default)s)")
    add("--columns", type=_positive, default=None, help="images per row (default: chosen for a wide page)")
    add("--no-references", dest="references", action="store_false", help="leave the references out")
    add("--name", help="the title (default: the manifest's model, or the folder's name)")
    text = "only the N images with the worst values of METRIC, such as clip_t, the worst first"
    add("--worst", nargs=2, metavar=("METRIC", "N"), help=text)
    text = f"for --worst: the values of each image, as `{commands.module('scorer')} … --csv FILE` writes them "
    add("--per-image", type=Path, metavar="FILE", help=f"{text}(default: DIR.per-image.csv)")
    add("--small", action="store_true", help="in 256 colours, a third of the size: for a README")

    add = command("data", "say what of a competition's data is on this machine, and how to get the rest", files=False)
    add("--competition", "-c", required=True, metavar="C", help=where)

    text = "hash a folder of training images, so that a scorer knows copies of them (training_hashes of a competition)"
    add = command("hashes", text, files=False)
    add("folder", metavar="DIR", type=Path, help="the PNG and JPEG files in it and in its folders")
    output(add, "training.hashes")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _outside(out: Path, submission: Path, competition: str | None = None) -> Path:
    """`out`, which must not become a file of the submission itself, nor of the competition. Raises UsageError."""
    atomic.check_writable({"--out": out})
    own = {} if competition is None else own_files(competition)
    atomic.check_kept({"--out": out}, {"the submission": submission, **own})
    atomic.remove_leftovers(out.absolute().parent)  # of a run that was killed while it wrote
    return out


def _validate(options: argparse.Namespace) -> None:
    competition = Competition.load(options.competition)
    read = competition.check_data(progress=True)
    submission = Submission.open(options.submission, competition, progress=True)
    size = f"{competition.image_size}×{competition.image_size} pixels" if competition.image_size else "any size"
    if competition.reference_shapes:
        size = "each of its reference's size"
    print(f"ok: {shown(str(options.submission))} is a valid submission to {shown(competition.title)}")
    print(f"  images    {len(submission.names)}, {size}, RGB, named as the prompts ask")
    if submission.manifest:
        manifest = submission.manifest
        state = "every image has the bytes that it lists" if manifest.images else "it lists no image hashes"
        print(f"  manifest  {shown(manifest.model)}, seed {manifest.seed}; {state}")
    else:
        print(f"  manifest  none ({MANIFEST_NAME} is optional)")
    if competition.has_references and not read["references"]:
        print("  note      the references are not on this machine: sizes were not compared with theirs")
    print(f"  sha256    {submission.sha256}")
    for note in submission.notes + submission.image_notes:
        print(f"  note      {shown(note, 400)}")


def _import(options: argparse.Namespace) -> None:
    competition = Competition.load(options.competition)
    if options.source.is_dir() and options.source.resolve() in options.out.resolve().parents:
        raise UsageError(f"{options.out} lies in the folder of the pictures; choose another --out")
    summary = import_submission(
        options.source,
        competition,
        options.out,
        mapping=options.mapping,
        in_order=options.order is not None,
        fit=options.fit,
        progress=True,
    )
    title = shown(competition.title)
    print(f"imported {len(summary.matches)} images into {shown(str(options.out))}: a valid submission to {title}")
    for line in summary.lines():
        print(f"  {shown(line, 400)}")


def _pack(options: argparse.Namespace) -> None:
    out = _outside(options.out, options.submission, options.competition)
    size = None
    if options.competition is not None:
        competition = Competition.load(options.competition)
        files = Submission.open(options.submission, competition, progress=True).files
        size = competition.image_size
    else:
        files = _unchecked(options.submission)
    try:
        write_zip(files, files.names, out, max_file_bytes(size), overwrite=options.overwrite)
    except NotReadable as error:
        raise SubmissionError([Problem("", str(error))], str(options.submission)) from None
    images = sum(name != MANIFEST_NAME for name in files.names)
    print(f"packed {images} images into {shown(str(out))} ({out.stat().st_size:,} bytes)")
    if options.competition is None:
        print("  not checked against a competition: add --competition C to do so")


def _unchecked(path: Path) -> FolderFiles:
    """The files of a folder, as far as they can be checked without knowing the prompts."""
    try:
        files = open_files(path)
    except NotReadable as error:
        raise SubmissionError([Problem("", str(error), "a submission is a folder of images")], str(path)) from None
    if not isinstance(files, FolderFiles):
        raise UsageError(f"{path} is a zip already; `validate` checks it")
    images = [name for name in files.names if name != MANIFEST_NAME]
    others = [name for name in images if not name.lower().endswith(SUFFIXES)]
    problems = [*files.problems, *(Problem(name, "is not an image", "remove it") for name in others)]
    no_text = [name for name in images if any("\ud800" <= char <= "\udfff" for char in name)]
    problems += [Problem(name, "its name is not UTF-8, as names in a zip are", "rename it") for name in no_text]
    if not images:
        problems.append(Problem("", "there are no images in it"))
    manifest, _ = read_manifest(files, "", images)
    missing = manifest.images.keys() - set(images) if manifest else ()
    problems += [Problem(name, f"is missing, {MANIFEST_NAME} lists it") for name in missing]
    if problems:
        raise SubmissionError(sorted(problems, key=lambda problem: problem.name), str(path))
    return files


def _sheet(options: argparse.Namespace) -> None:
    out = _outside(options.out, options.submission, options.competition)
    competition = Competition.load(options.competition)
    submission = Submission.open(options.submission, competition, verify=False)
    page = draw_sheet(
        submission,
        n=options.n,
        columns=options.columns,
        references=options.references,
        name=options.name,
        ranking=_ranking(options, submission),
    )
    atomic.write_bytes(out, sheet_bytes(page, small=options.small))
    print(f"sheet: {shown(str(out))} ({page.width}×{page.height} pixels)")
    if submission.problems:
        command = commands.module("submission validate")
        where = f"{commands.named(options.submission, 'DIR')} --competition {commands.named(options.competition, 'C')}"
        print(f"  the submission has problems; this names every one: {command} {where}")


def _ranking(options: argparse.Namespace, submission: Submission) -> Ranking | None:
    """The images that `--worst` asks for, None when it does not. Raises UsageError."""
    if options.worst is None:
        if options.per_image is not None:
            raise UsageError("--per-image is for --worst METRIC N")
        return None
    metric, count = options.worst
    if not (count.isascii() and count.isdecimal() and int(count[:9]) > 0):
        raise UsageError(f"--worst {metric} {shown(count)}: the second word is how many images, at least 1")
    path = options.per_image
    if path is None:
        typed = submission.path if submission.path.name not in ("", "..") else submission.path.resolve()
        path = typed.with_name(f"{typed.name}.per-image.csv")
        if not path.is_file():
            raise UsageError(
                f"--worst needs the values of each image: there is no {path}\n"
                f"  write them with `{commands.module('scorer')} DIR --csv FILE`, and give --per-image FILE"
            )
        images = submission.path.glob("*") if submission.path.is_dir() else [submission.path]
        newest = max((image.lstat().st_mtime_ns for image in images), default=0)
        if path.stat().st_mtime_ns < newest:
            raise UsageError(f"{path} is older than the images: score them again, or give --per-image FILE")
    return worst(path, metric, int(count[:9]), submission.expected)


def _data(options: argparse.Namespace) -> None:
    competition = Competition.load(options.competition)
    missing = []
    for what, path in competition.data_files():
        print(f"{'here' if path.exists() else 'not here':<10}{what:<17}{shown(str(path))}")
        missing += [] if path.exists() else [path]
    try:
        read = competition.check_data(progress=True)
        if read["families"]:
            count, families = len(competition.prompts), len(set(competition.families))
            print(f"{count} prompts in {families} {'family' if families == 1 else 'families'}")
    except CompetitionError as error:
        if not missing:
            raise
        say(f"error: {error}")  # and what is missing as well
    if missing:
        raise MissingPart(f"data of the competition {competition.name!r}", get_it=competition.how_to_get_data())


def _hashes(options: argparse.Namespace) -> None:
    out = _outside(options.out, options.folder)
    codes = hash_folder(options.folder, progress=True)
    write_hashes(out, codes)
    print(f"hashes of {len(codes)} distinct images: {shown(str(out))} ({out.stat().st_size:,} bytes)")


_COMMANDS = {"validate": _validate, "import": _import, "pack": _pack, "sheet": _sheet, "data": _data, "hashes": _hashes}


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    _COMMANDS["validate" if options.command == "check" else options.command](options)
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
