"""The splits of the bestiary as files, in the real competition's layout.

train/{monster}_{action}_{frame}.png   with gaps in the frames, as there
train_info.json, train_attributes.json
validation/                            a competition of its own: everything is tuned on it, never on the test
captions/                              `--captions N`: captions of other monsters, for a model to draw
test.json, attributes.json, references.zip   shipped; drawn only by `--test`
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import TypeVar

from PIL import Image

from competitions.bestiary.artist import world
from competitions.bestiary.artist.captions import describe
from competitions.bestiary.artist.draw import draw
from competitions.bestiary.artist.world import ACTION_TEXT, TRAIN_ACTIONS, Monster, action_of, frame_numbers
from submission import atomic, commands
from submission.csv_text import csv_line
from submission.errors import UsageError
from submission.progress import track

MONSTERS = {"test": 166, "validation": 120, "train": 8000}
VALIDATION_PROMPTS = 256
VERSION = 1  # of the drawn world: raise it when a picture, a caption or a split changes
ZIP_DATE = (2026, 1, 1, 0, 0, 0)

CAPTIONS_TOML = """[competition]
name = "bestiary-captions"
title = "The bestiary: captions of monsters that are in no split"
prompts = "train.csv"
references = "references.zip"          # there are none: this is drawn to be trained on, not to be scored
image_size = 64

[backbones]
inception = "bestiary"
clip = "bestiary"
"""

Done = TypeVar("Done")


@dataclass(frozen=True)
class Entry:
    """One `{monster}_{action}` of a split."""

    key: str
    monster: Monster
    action_key: str

    @property
    def action(self) -> str:
        return action_of(self.action_key)

    def caption(self, k: int) -> str:
        return describe(self.monster, Random(f"{self.monster.seed}/{self.action_key}/caption/{k}"))

    def picture(self, frame: int = 0) -> bytes:
        """The entry's PNG; equal arguments give equal bytes."""
        buffer = io.BytesIO()
        pixels = draw(self.monster, self.action, f"{self.monster.seed}/{self.action_key}/{frame}")
        Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
        return buffer.getvalue()

    def attributes(self) -> dict[str, object]:
        m = self.monster
        return {
            "body": m.body,
            "colours": list(m.colours),
            "features": list(m.features),
            "item": m.item,
            "action": self.action,
        }

    def prompt(self) -> dict[str, str]:
        description, action = self.caption(0), ACTION_TEXT[self.action]
        return {
            "image_name": f"{self.key}.png",
            "given_description": description,
            "action_description": action,
            "text_prompt": f"{description} {action}".strip(),
        }


def _monsters(taken: set[tuple[object, ...]]) -> dict[str, list[Monster]]:
    """Those of every split, whose combinations are added to `taken`."""
    return {split: world.population(split, count, taken) for split, count in MONSTERS.items()}


def splits() -> dict[str, list[Entry]]:
    """The entries of every split; no combination of body, colours, features and item is in two of them."""
    monsters = _monsters(set())
    actions = {
        "test": world.exact_actions("test", MONSTERS["test"], world.TEST_ACTIONS),
        "validation": world.likely_actions("validation", MONSTERS["validation"], TRAIN_ACTIONS),
        "train": world.likely_actions("train", MONSTERS["train"], TRAIN_ACTIONS),
    }
    entries: dict[str, list[Entry]] = {split: [] for split in MONSTERS}
    for split, found in entries.items():
        for number, (monster, keys) in enumerate(zip(monsters[split], actions[split], strict=True)):
            found += [Entry(f"{number}_{key}", monster, key) for key in keys]
    chosen = Random("bestiary/validation/prompts").sample(range(len(entries["validation"])), VALIDATION_PROMPTS)
    entries["validation"] = [entries["validation"][k] for k in sorted(chosen)]
    return entries


def more_entries(count: int) -> list[Entry]:
    """`count` entries, each of a monster of its own, whose combination is in no split."""
    taken: set[tuple[object, ...]] = set()
    _monsters(taken)
    rng = Random("bestiary/drawn/monsters")
    entries: list[Entry] = []
    for number, monster in enumerate(islice(world.new_monsters("drawn", rng, taken), count)):
        action_key = rng.choices(list(TRAIN_ACTIONS), list(TRAIN_ACTIONS.values()))[0]
        entries.append(Entry(f"{number}_{action_key}", monster, action_key))
    return entries


def claim(out: Path) -> None:
    """Marks `out` as holding this version of the world, before anything is drawn into it.

    Pictures that are there are kept when drawing goes on, so a folder must never mix two versions. Raises UsageError
    when it holds another one.
    """
    mark = out / "world.json"
    found = json.loads(mark.read_text(encoding="utf-8"))["version"] if mark.exists() else None
    if found != VERSION and (out / "train").exists():
        raise UsageError(
            f"{out} holds another version of the bestiary ({found or 'unknown'}, now {VERSION}): remove the folder, "
            f"then draw it again with {commands.data('bestiary')}"
        )
    out.mkdir(parents=True, exist_ok=True)
    atomic.write_json(mark, {"version": VERSION})


def _draw_frames(folder: Path, entry: Entry) -> int:
    frames = frame_numbers(entry.monster, entry.action_key)
    for frame in frames:
        path = folder / f"{entry.key}_{frame}.png"
        if not path.exists():
            atomic.write_bytes(path, entry.picture(frame), lasting=False)
    return len(frames)


def _in_parallel(function: Callable[[Entry], Done], entries: list[Entry], workers: int, label: str) -> Iterable[Done]:
    if workers == 1:
        yield from track(map(function, entries), label, total=len(entries))
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from track(pool.map(function, entries, chunksize=16), label, total=len(entries))


def write_training(entries: list[Entry], out: Path, workers: int) -> int:
    """Draws `train/` and its two JSON files; pictures that are there already are kept. Returns the number of images."""
    (out / "train").mkdir(parents=True, exist_ok=True)
    draw_frames = partial(_draw_frames, out / "train")
    images = sum(_in_parallel(draw_frames, entries, workers, f"training set ({len(entries)} entries)"))
    info = {
        entry.key: {
            "original_name": f"{entry.monster.body}_{entry.action_key}",
            "given_description": [entry.caption(k) for k in range(3)],
            "action_description": ACTION_TEXT[entry.action],
            "num_frames": frame_numbers(entry.monster, entry.action_key)[-1] + 1,
        }
        for entry in entries
    }
    atomic.sync_folder(out / "train")
    atomic.write_json(out / "train_attributes.json", {entry.key: entry.attributes() for entry in entries})
    atomic.write_json(out / "train_info.json", info)  # last: its presence says that the set is complete
    return images


def write_competition_data(entries: list[Entry], out: Path, workers: int, label: str) -> None:
    """test.json, attributes.json and references.zip of a split whose entries are one picture each."""
    out.mkdir(parents=True, exist_ok=True)
    prompts = {entry.key: entry.prompt() for entry in entries}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for entry, png in zip(entries, _in_parallel(Entry.picture, entries, workers, label), strict=True):
            archive.writestr(zipfile.ZipInfo(prompts[entry.key]["image_name"], ZIP_DATE), png)
    atomic.write_bytes(out / "references.zip", buffer.getvalue())
    named = {prompts[entry.key]["image_name"]: entry.attributes() for entry in entries}
    # A line an entry: the two files are read by people and diffed by git.
    for name, content in (("attributes.json", named), ("test.json", prompts)):
        lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
        atomic.write_text(out / name, f"{{\n{lines}\n}}\n")


def write_captions(entries: list[Entry], out: Path) -> None:
    """A competition of prompts alone, one an entry; a training set as well, once a model has drawn `out`/train."""
    out.mkdir(parents=True, exist_ok=True)
    rows = ((entry.key, entry.prompt()["text_prompt"]) for entry in entries)
    atomic.write_bytes(out / "train.csv", b"".join(map(csv_line, [("id", "prompt"), *rows])))
    atomic.write_text(out / "competition.toml", CAPTIONS_TOML)


def write_validation(entries: list[Entry], out: Path, workers: int, parent: Path) -> None:
    """The validation competition: that of the folder `parent` with other monsters."""
    write_competition_data(entries, out, workers, "validation set")
    text = (parent / "competition.toml").read_text(encoding="utf-8")
    text = text.replace('name = "bestiary"', 'name = "bestiary-validation"', 1)
    atomic.write_bytes(out / "training.hashes", (parent / "training.hashes").read_bytes())
    atomic.write_text(out / "competition.toml", text.replace('title = "', 'title = "Validation: ', 1))
