"""The board as a table of models for a paper or a slide: IS, FID, CLIP, PSNR and SSIM, as Markdown or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from leaderboard.gate_files import markdown_text
from leaderboard.ranking import Group, Ranked
from leaderboard.row import FORMULA
from leaderboard.show import number
from submission.metrics import METRICS

# The columns of comparisons on COCO; CLIP-T is a cosine there times 100.
COLUMNS = ("is", "fid", "clip_t", "psnr", "ssim")
MEASURED_BY = ("n", "protocol", "inception", "clip", "fingerprint")


def markdown(groups: Sequence[Group]) -> str:
    """A table for each group, best first, with what measured it: numbers of two tables are not comparable."""
    return "\n".join(_markdown_of(group) for group in groups)


def _markdown_of(group: Group) -> str:
    heads = [
        f"CLIP ×100 {metric.arrow}" if metric.name == "clip_t" else f"{metric.label} {metric.arrow}"
        for metric in (METRICS[name] for name in COLUMNS)
    ]
    lines = [f"| model | {' | '.join(heads)} |", "|---|" + "---:|" * len(COLUMNS)]
    for entry, name in _named(group):
        lines.append(f"| {markdown_text(name)} | {' | '.join(_cell(entry, column) for column in COLUMNS)} |")
    by = group.measured_by
    measured = f"{group.n} images, Inception {by.get('inception', '?')}, CLIP {by.get('clip', '?')}"
    measured = markdown_text(f"{group.competition}: {measured}, protocol {by.get('protocol', '?')}")
    lines += ["", f"{measured} (`{group.fingerprint}`). CLIP is the mean cosine of image and prompt.", ""]
    return "\n".join(lines)


def _cell(entry: Ranked, column: str) -> str:
    value = entry.row.score(column).value
    if value is not None and column == "clip_t":
        return f"{100 * value:.2f}"
    return number(value, METRICS[column])


def as_csv(groups: Sequence[Group]) -> str:
    """One line for each model: the numbers with all their digits (CLIP-T is the cosine itself) and what measured it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("model", *COLUMNS, "competition", *MEASURED_BY))
    for group in groups:
        by = {"n": group.n, "fingerprint": group.fingerprint, **group.measured_by}
        for entry, name in _named(group):
            values = [entry.row.score(column).value for column in COLUMNS]
            texts = [name, group.competition, *(str(by.get(key, "")) for key in MEASURED_BY)]
            name, *others = [f"'{text}" if text.startswith(FORMULA) else text for text in texts]
            writer.writerow([name, *("" if value is None else value for value in values), *others])
    return buffer.getvalue()


def _named(group: Group) -> list[tuple[Ranked, str]]:
    """The ranked entries, then the suspect ones; a local one with a shipped one's name is told apart."""
    shipped = {entry.row.name for entry in group.ranked if entry.shipped}
    return [
        (
            entry,
            entry.row.name
            + " (scored here)" * (not entry.shipped and entry.row.name in shipped)
            + " (suspect)" * (entry.row.status == "suspect"),
        )
        for entry in group.ranked
        if entry.place is not None or entry.row.status == "suspect"
    ]
