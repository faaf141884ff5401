"""Who is ahead, against boards ranked by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from leaderboard import Ranked, rank
from leaderboard.row import Row, frame_of, from_scorecard
from submission import Competition, Scorecard
from submission.competition import Tier

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def row(make_card: Callable[..., Scorecard]) -> Callable[..., Row]:
    def make(name: str, hours: int = 0, **changes) -> Row:
        card = make_card(name=name, content=changes.pop("content", name), **changes)
        return from_scorecard(card, START + timedelta(hours=hours))

    return make


def names(ranked: list[Ranked]) -> list[tuple[int | None, str]]:
    return [(entry.place, entry.row.name) for entry in ranked]


def local(*rows: Row) -> pd.DataFrame:
    return frame_of(rows).assign(shipped=False)


def test_tiers_then_fid_then_time_then_hash(row) -> None:
    # Tiers of the tiny competition: baseline (fid 90, clip_i .75, clip_t .27) and gold (fid 50).
    first, second = sorted(
        [row("twin-x", hours=2, fid=70.0, content="x"), row("twin-y", hours=2, fid=70.0, content="y")],
        key=lambda twin: twin.submission_sha256,
    )
    entries = local(
        row("low-fid-only", fid=40.0, clip_t=0.1),  # gold only: 1 tier, FID 40
        row("late", hours=9, fid=70.0),  # baseline: 1 tier, FID 70, after the twins
        second,
        row("both", fid=49.9),  # 2 tiers
        first,
        row("none", fid=91.0),  # 0 tiers
        row("early", hours=1, fid=70.0),
    )
    (group,) = rank(entries)
    expected = ["both", "low-fid-only", "early", first.name, second.name, "late", "none"]
    assert names(group.ranked) == list(enumerate(expected, start=1))


def test_another_protocol_is_another_ranking(row) -> None:
    entries = local(
        row("a", fid=80.0),
        row("b", fid=1.0, fingerprint={"inception": "clean"}),
        row("c", fid=2.0, n=2),
        row("d", fid=70.0),
    )
    groups = rank(entries)
    assert [names(group.ranked) for group in groups] == [[(1, "d"), (2, "a")], [(1, "b")], [(1, "c")]]
    assert len({group.fingerprint for group in groups}) == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("column", ["fid", "clip_t", "ssim_low"])
def test_what_is_not_finite_never_ranks(row, column: str, value: float) -> None:
    broken = row("broken", fid=1.0)
    broken.numbers[column] = value
    (group,) = rank(local(broken, row("good", fid=500.0)))
    assert names(group.ranked) == [(1, "good"), (None, "broken")]
    assert column in group.ranked[1].unranked


def test_what_is_marked_invalid_or_lacks_fid_never_ranks(row) -> None:
    invalid = dataclasses.replace(row("invalid", fid=1.0), status="invalid")
    (group,) = rank(local(invalid, row("no fid", fid=None), row("good", fid=500.0)))
    assert names(group.ranked)[0] == (1, "good")
    assert {entry.row.name: entry.place for entry in group.ranked[1:]} == {"invalid": None, "no fid": None}


def test_without_references_nobody_has_an_fid_and_tiers_decide(row) -> None:
    tiers = {"tiny": (Tier("text", {"clip_t": 0.2}),)}
    (group,) = rank(local(row("low", fid=None, clip_t=0.1), row("high", fid=None, clip_t=0.3)), tiers)
    assert names(group.ranked) == [(1, "high"), (2, "low")]


def test_a_broken_entry_does_not_hide_a_good_one_of_the_same_name(row) -> None:
    broken = row("twice", fid=1.0, content="1")
    broken.numbers["fid"] = float("nan")
    (group,) = rank(local(broken, row("twice", fid=80.0, content="2")))
    assert names(group.ranked) == [(1, "twice")]
    assert group.ranked[0].row.numbers["fid"] == 80.0


def test_each_name_s_best_or_every_entry(row) -> None:
    entries = local(*(row("a", fid=fid, content=str(fid)) for fid in (80.0, 60.0, 70.0)), row("b", fid=65.0))
    (group,) = rank(entries)
    assert names(group.ranked) == [(1, "a"), (2, "b")]
    assert group.ranked[0].row.numbers["fid"] == 60.0
    assert group.hidden == 2
    (group,) = rank(entries, every=True)
    assert names(group.ranked) == [(1, "a"), (2, "b"), (3, "a"), (4, "a")]
    assert group.hidden == 0


def test_shipped_rows_are_flagged_and_reproducing_one_is_a_mark(row, entries) -> None:
    shipped = row("monster", fid=60.0)
    again = dataclasses.replace(shipped, created_at=START + timedelta(days=1))
    other = row("monster", fid=61.0, content="another machine")
    (group,) = rank(entries([again, other], [shipped]))
    assert [(entry.place, entry.shipped, entry.reproduced) for entry in group.ranked] == [
        (1, True, True),
        (2, False, False),
    ]


def test_the_tiers_of_today_decide(row, competition: Competition) -> None:
    entries = local(row("a", fid=80.0))
    assert (rank(entries)[0].ranked[0].tiers_passed, rank(entries)[0].ranked[0].tiers) == (1, 2)
    harder = {"tiny": (Tier("baseline", {"fid": 10.0}),)}
    assert (rank(entries, harder)[0].ranked[0].tiers_passed, rank(entries, harder)[0].ranked[0].tiers) == (0, 1)
    today = {"tiny": competition.tiers}
    assert rank(entries, today)[0].ranked == rank(entries)[0].ranked


def ranges(entries: pd.DataFrame, tiers: dict | None = None) -> dict[str, str]:
    (group,) = rank(entries, tiers)
    return {entry.row.name: entry.rank_range for entry in group.ranked}


def test_rows_whose_intervals_overlap_share_a_rank_range(row) -> None:
    entries = local(
        row("first", fid=60.0, fid_interval=(58.0, 62.0)),
        row("second", fid=63.0, fid_interval=(61.0, 65.0)),
        row("third", fid=66.0, fid_interval=(64.0, 68.0)),  # overlaps the second, not the first
        row("last", fid=80.0, fid_interval=(78.0, 82.0)),
    )
    assert ranges(entries) == {"first": "1–2", "second": "1–3", "third": "2–3", "last": "4"}
    assert names(rank(entries)[0].ranked)[0] == (1, "first")  # the order is that of the values


def test_rows_without_intervals_rank_by_their_values(row) -> None:
    assert ranges(local(row("a", fid=60.0), row("b", fid=61.0), row("c", fid=62.0))) == {"a": "1", "b": "2", "c": "3"}
    mixed = local(row("old", fid=60.0), row("near", fid=61.0, fid_interval=(59.0, 63.0)), row("far", fid=64.0))
    assert ranges(mixed) == {"old": "1–2", "near": "1–2", "far": "3"}


def test_more_tiers_are_ahead_only_when_that_is_sure(row, competition: Competition) -> None:
    tiers = {"tiny": competition.tiers}  # gold: FID 50; baseline: FID 90, CLIP-I 0.75, CLIP-T 0.27
    sure = local(row("one", fid=80.0, fid_interval=(70.0, 85.0)), row("none", fid=79.0, clip_t=0.1))
    assert ranges(sure, tiers) == {"one": "1", "none": "2"}
    unsure = local(row("one", fid=89.0, fid_interval=(87.0, 91.0)), row("none", fid=92.0, fid_interval=(89.0, 95.0)))
    assert ranges(unsure, tiers) == {"one": "1–2", "none": "1–2"}


def test_what_does_not_rank_takes_no_place(row) -> None:
    invalid = dataclasses.replace(row("invalid", fid=60.0, fid_interval=(50.0, 90.0)), status="invalid")
    assert ranges(local(invalid, row("a", fid=60.0), row("b", fid=61.0))) == {"a": "1", "b": "2", "invalid": "–"}
