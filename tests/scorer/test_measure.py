"""Tables of per-image results: the order of arrival does not matter, nor whether they are in memory or on disk."""

from __future__ import annotations

import pytest
import torch

from scorer import measure, score
from scorer.cosines import cosines
from scorer.measure import Rows


@pytest.mark.parametrize("in_memory", [0, 2**20])
def test_any_order_gives_the_same_bits(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "IN_MEMORY_BYTES", in_memory)
    values = torch.randn(500, 7, generator=torch.Generator().manual_seed(0))
    table = Rows(500)
    for places in torch.randperm(500, generator=torch.Generator().manual_seed(1)).split(33):
        table.add("feature", places, values[places])
    assert torch.equal(table.tensors()["feature"], values)


def test_a_share_and_a_table_that_is_not_complete() -> None:
    table = Rows(3, first=10)
    table.add("a", torch.tensor([12, 10]), torch.tensor([2.0, 0.0]))
    table.add("b", torch.tensor([10, 11, 12]), torch.tensor([0, 1, 2]))
    assert list(table.tensors()) == ["b"]
    table.add("a", torch.tensor([11]), torch.tensor([1.0]))
    assert table.tensors()["a"].tolist() == [0.0, 1.0, 2.0]


def test_a_spooled_table_outlives_its_maker_and_leaves_no_file(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = Rows(4)
    table.add("a", torch.arange(4), torch.arange(8.0).view(4, 2))
    tensor = table.tensors()["a"]
    del table
    assert tensor.tolist() == torch.arange(8.0).view(4, 2).tolist()
    assert list(tmp_path.iterdir()) == []


def test_features_on_disk_give_the_same_scorecard(tiny_competition, tiny_submission, monkeypatch) -> None:
    entry = tiny_submission(competition := tiny_competition(12))
    whole = score(entry, competition, "cpu", cache=False, progress=False)
    monkeypatch.setattr(measure, "IN_MEMORY_BYTES", 0)
    assert score(entry, competition, "cpu", cache=False, progress=False) == whole


def test_cosines_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = torch.randn(2, 50, 8, generator=torch.Generator().manual_seed(0))
    whole = cosines(a, b)
    monkeypatch.setattr("scorer.cosines.CHUNK", 7)
    assert torch.equal(cosines(a, b), whole)
    torch.testing.assert_close(whole, torch.cosine_similarity(a.double(), b.double()), rtol=1e-12, atol=1e-12)
