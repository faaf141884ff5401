"""Strict JSON costs what its length says: places are told for the first problems only, and shortly."""

from __future__ import annotations

import tracemalloc

import pytest

from submission import strict_json
from submission.manifest import Manifest, max_manifest_bytes


def test_places_and_order():
    value, problems = strict_json.parse('{"a": [1, NaN], "b": {"c": 1, "c": 2}, "d": Infinity}')
    assert problems == ["a: 1: NaN is not JSON", "b: the key 'c' is there twice", "d: Infinity is not JSON"]
    assert value["b"] == {"c": 2}


def test_one_key_many_times_is_one_problem():
    assert strict_json.parse("{" + '"a": 1, ' * 999 + '"a": 1}')[1] == ["the key 'a' is there twice"]


_LONG = '{"' + "k" * 1000 + '": '


@pytest.mark.parametrize(
    "text",
    [
        "[" * 800 + "[" + "NaN," * 20_000 + "1]" + "]" * 800,
        _LONG * 800 + "NaN" + "}" * 800,
        (_LONG + 'NaN, "b": ') * 800 + "1" + "}" * 800,
        "{" + "".join(f'"{key}": 1, "{key}": 2, ' for key in range(10_000)) + '"z": 1}',
    ],
)
def test_many_problems_deep_inside_are_told_in_a_few_lines(text):
    tracemalloc.start()
    _, problems = strict_json.parse(text)
    assert tracemalloc.get_traced_memory()[1] < 100 * len(text) + 2**20
    tracemalloc.stop()
    assert 1 <= len(problems) <= strict_json.MAX_PROBLEMS + 1
    assert sum(map(len, problems)) < 60_000


_HEAD = b'{"competition": "a", "model": "m", "seed": 0, '


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (b'"images": {' + b",".join(b'"%d": "x"' % i for i in range(50_000)) + b"}}", "and 49,980 more problems"),
        (b'"settings": {"a": [' + b"1," * 100_000 + b"1]}}", "bytes of JSON, more than 65,536"),
        (b'"settings": {"a": ' + b"[" * 500 + b"]" * 500 + b"}}", "nested more than 16 deep"),
        (b'"weights": {' + b",".join(b'"%d": "x"' % i for i in range(2000)) + b"}}", "2,000 entries, more than 1,000"),
        (b",".join(b'"%d": 0' % i for i in range(2000)) + b"}", "keys, a manifest has"),
        (b'"notes": [' + b"1," * 200 + b"1]}", "201 entries, more than 100"),
    ],
)
def test_manifests_have_limits_that_are_said(rest, said):
    with pytest.raises(ValueError, match=said) as caught:
        Manifest.parse(_HEAD + rest)
    assert len(str(caught.value).splitlines()) <= 21


def test_an_honest_manifest_fits():
    name = "ü" * 98 + ".png"  # 200 bytes
    images = {f"{index:05}{name[5:]}": "f" * 64 for index in range(2000)}
    manifest = Manifest(competition="a", model="m", seed=0, images=images, settings={"steps": list(range(5000))})
    data = manifest.model_dump_json(indent=1).encode()
    assert len(data) < max_manifest_bytes(2000)
    assert Manifest.parse(data) == manifest
