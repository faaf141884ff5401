"""The vectors and the strict reader: the same rows from the same lines, and nothing that only one of them takes."""

from __future__ import annotations

import csv
import io
import os
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from leaderboard import BoardError, append, board, read, reading
from leaderboard.columns import COLUMNS, NUMBERS
from leaderboard.row import frame_of, from_scorecard, rows_of, to_cells
from submission import Scorecard

MakeCard = Callable[..., Scorecard]
START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ["a", "two words", 'with "quotes", commas', "näme", "=formula", "'quoted", "名前", "x" * 200, "nan", "True"]


def table(header: Sequence[str], *rows: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([header, *rows])
    return buffer.getvalue()


@pytest.fixture
def cells(make_card: MakeCard) -> list[list[str]]:
    """The cells of rows of every kind."""
    rng = random.Random(0)
    rows = []
    for number in range(60):
        card = make_card(
            name=NAMES[number % len(NAMES)],
            content=str(number),
            fid=rng.choice([rng.uniform(0, 900), 0.0, 1e-7, 1e22, 100.0, None]),
            psnr=rng.choice([-3.5, 1.0, 12.345678901234567]),
            n=rng.choice([3, 4]),
            fingerprint=rng.choice([{}, {"inception": "clean"}, {"references_sha256": None}]),
        )
        rows.append(to_cells(from_scorecard(card, START + timedelta(seconds=rng.randrange(10**7)))))
    return rows


def strictly(text: str) -> pd.DataFrame:
    header, *lines = text.encode().removesuffix(b"\n").split(b"\n")
    return frame_of(reading._strictly(enumerate(lines, 2), reading.header(header)))


def by_vectors(text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[pd.DataFrame, int]:
    """What `parse` reads, and how many lines it left to the strict reader."""
    left = []
    strict = reading._strictly

    def watched(lines, columns):
        lines = list(lines)
        left.extend(lines)
        return strict(lines, columns)

    with monkeypatch.context() as patched:
        patched.setattr(reading, "_strictly", watched)
        header = text.encode().split(b"\n", 1)[0]
        return reading.parse(text.encode(), reading.header(header)), len(left)


def test_vectors_read_what_the_strict_reader_reads(cells, monkeypatch) -> None:
    text = table(COLUMNS, *cells)
    found, left = by_vectors(text, monkeypatch)
    pd.testing.assert_frame_equal(found, strictly(text)[found.columns])
    assert left == 0
    assert rows_of(found) == rows_of(strictly(text))


def test_numbers_keep_every_bit(cells, monkeypatch) -> None:
    rng = random.Random(1)
    values = [rng.uniform(-1, 1) * 10.0 ** rng.randint(-30, 20) for _ in range(len(cells))]
    for row, value in zip(cells, values, strict=True):
        row[COLUMNS.index("is")] = repr(value)
    found, _ = by_vectors(table(COLUMNS, *cells), monkeypatch)
    assert found["is"].tolist() == values


CELLS = ["", "x", "1.0", " 1", "1 ", "+1", "1_0", "0x1", "1e400", "nan", "inf", "-inf", "Infinity", "True", "١", "--1"]
CELLS += ["=1", "-", "1,", '"', "9" * 60, "a" * 64, "g" * 64, "suspect", "winner", "2026-02-30T00:00:00Z", "2"]
CELLS += ["2026-01-31T12:00:00Z", "2026-01-31 12:00:00Z", "\t", "\u200b", "'", "é", "\r", "1.5.5", "1e5", ".5", "-0"]


# Of these cells each column gets so many; all of them take half a minute.
HOW_MANY = int(os.environ.get("DRAWOFF_TEST_CELLS", "12"))
# What pandas reads in its own way is another thing for each kind of column, not for each column.
KINDS = ["schema", "name", "competition", "seed", "n", "fid", "tiers_passed", "submission_sha256", "fingerprint"]
KINDS += ["protocol", "inception", "created_at", "status", "mark", "broken", "look", "alike"]


@pytest.mark.parametrize("column", KINDS)
def test_a_cell_that_the_strict_reader_refuses_is_refused(cells, column: str, monkeypatch) -> None:
    """Each column gets each of these cells in one line of a board, raw, as somebody's editor would leave it."""
    lines = table(COLUMNS, *(row for row in cells[:20] if not any('"' in cell or "," in cell for cell in row))).split(
        "\n"
    )
    place = COLUMNS.index(column)
    for cell in random.Random(column).sample(CELLS, min(len(CELLS), HOW_MANY)):
        parts = lines[5].split(",")
        parts[place] = cell
        text = "\n".join([*lines[:5], ",".join(parts), *lines[6:]])
        strict, vectors = outcome(strictly, text), outcome(lambda text: by_vectors(text, monkeypatch)[0], text)
        if isinstance(strict, tuple) or isinstance(vectors, tuple):
            assert isinstance(vectors, tuple), (column, cell, strict)
            assert vectors == strict
        else:
            pd.testing.assert_frame_equal(vectors, strict[vectors.columns])


def outcome(reader: Callable[[str], pd.DataFrame], text: str) -> pd.DataFrame | tuple[int, str]:
    try:
        return reader(text)
    except reading.BrokenLine as broken:
        return broken.line, str(broken.what)


def test_quotes_are_read_as_csv_has_them(cells, monkeypatch) -> None:
    """Names of quotes, commas, letters and what stands for them inside, in every order, raw; some are valid CSV."""
    lines = table(COLUMNS, *cells[:3]).split("\n")
    rng = random.Random(0)
    read = 0
    for _ in range(400):
        name = "".join(rng.choices('",a\1\2 ', weights=(6, 3, 3, 0.2, 0.2, 1), k=rng.randrange(1, 9)))
        text = "\n".join([*lines[:2], lines[2].replace(f",{csv_cell(cells[1][1])},", f",{name},"), *lines[3:]])
        strict, vectors = outcome(strictly, text), outcome(lambda text: by_vectors(text, monkeypatch)[0], text)
        if isinstance(strict, tuple) or isinstance(vectors, tuple):
            assert vectors == strict, name
        else:
            pd.testing.assert_frame_equal(vectors[strict.columns], strict)
            read += 1
    assert 20 < read < 380


def csv_cell(text: str) -> str:
    return table([text]).removesuffix("\n")


def test_columns_in_another_order_missing_and_unknown_ones(tmp_path: Path, make_card: MakeCard) -> None:
    path = tmp_path / "board.csv"
    append(path, make_card(content="a"))
    (row,) = csv.DictReader(io.StringIO(path.read_text()))
    kept = [name for name in reversed(COLUMNS) if name not in ("mark", "broken", "look", "alike", "seed", "psnr_low")]
    path.write_text(table(["remark", *kept, "group"], ['two, "words"', *(row[name] for name in kept), "7"]))
    (found,) = read(path)
    assert (found.name, found.seed, found.numbers["fid"], found.numbers["psnr_low"]) == ("monster", None, 80.0, None)
    append(path, make_card(content="b", name="other"))
    assert [row.name for row in read(path)] == ["monster", "other"]
    lines = list(csv.DictReader(io.StringIO(path.read_text())))
    assert [line["remark"] for line in lines] == ['two, "words"', ""]
    assert [line["group"] for line in lines] == ["7", ""]


@pytest.mark.parametrize("column", ["repeated", "floats", "unknown", "nan"])
def test_an_unknown_column_of_any_name_is_left_as_it_is(column: str, tmp_path: Path, make_card: MakeCard) -> None:
    path = tmp_path / "board.csv"
    append(path, make_card(content="a"))
    plain = board.content(path).rows
    head, line = path.read_text().splitlines()
    path.write_text(f"{column},{head}\n7,{line}\n")
    pd.testing.assert_frame_equal(board.content(path).rows, plain)


def test_what_spreadsheets_make_of_a_board_is_read(tmp_path: Path, make_card: MakeCard) -> None:
    """A byte order mark, and lines that end in two characters."""
    path = tmp_path / "board.csv"
    append(path, make_card(content="a"))
    before = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + before.replace(b"\n", b"\r\n"))
    rows = read(path)
    assert append(path, make_card(content="b")).row.name == "monster"
    assert read(path)[:1] == rows
    assert path.read_bytes().startswith(before)


def test_a_broken_header_is_to_be_put_back_not_deleted(tmp_path: Path, make_card: MakeCard) -> None:
    path = tmp_path / "board.csv"
    append(path, make_card())
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0].replace(",", ";"), *lines[1:]]))
    with pytest.raises(BoardError, match=r"line 1: .*semicolons") as caught:
        read(path)
    assert "delete" not in str(caught.value)
    assert ",".join(COLUMNS) in str(caught.value)


def test_lines_are_read_once_each(tmp_path: Path, make_card: MakeCard, monkeypatch) -> None:
    """Counts work, not seconds: a line that no vector takes is looked at once, whatever the number of lines."""
    path = tmp_path / "board.csv"
    append(path, make_card())
    path.write_bytes(path.read_bytes().replace(b",80.0,", b",inf,"))
    header, line = path.read_bytes().splitlines(keepends=True)
    sha = read(path)[0].submission_sha256.encode()
    lines = [line.replace(sha, b"%064x" % number) for number in range(500)]
    path.write_bytes(header + b"".join(lines))
    calls = []
    from_cells = reading.from_cells
    monkeypatch.setattr(reading, "from_cells", lambda *cells: calls.append(1) or from_cells(*cells))
    assert len(board.entries(path, tmp_path / "none.csv")) == 500
    assert len(calls) == 500


def test_every_column_has_a_type() -> None:
    empty = frame_of([])
    assert {*COLUMNS, "nan"} - {"schema"} == set(empty.columns)
    assert all(empty[name].dtype == "float64" for name in (*NUMBERS, "mark"))
