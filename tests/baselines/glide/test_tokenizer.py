"""Both vocabularies' ids against the originals'."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from baselines.glide.tokenizer import (
    BytePairEncoding,
    ClipTokenizer,
    TextTokenizer,
    Vocabulary,
    clip_bpe,
    read_bpe,
)
from submission.errors import UsageError


@pytest.fixture
def bpe(tmp_path: Path, write_vocabulary: Callable[[Path], None]) -> BytePairEncoding:
    write_vocabulary(tmp_path)
    return read_bpe(tmp_path / "vocab.json", tmp_path / "merges.txt")


def test_a_merge_whose_parts_are_no_tokens_never_applies(bpe: BytePairEncoding, tmp_path: Path) -> None:
    token = next(token for token in json.loads((tmp_path / "vocab.json").read_text()) if len(token) > 1)
    with open(tmp_path / "merges.txt", "a", encoding="utf-8") as merges:
        merges.write(f"{token} \n")  # the other part is empty
    assert read_bpe(tmp_path / "vocab.json", tmp_path / "merges.txt").encode("a monster") == bpe.encode("a monster")


def test_byte_pair_ids_are_the_references(bpe: BytePairEncoding, golden: Callable) -> None:
    tiny = golden("bpe_tiny")
    tokenizer = TextTokenizer(Vocabulary(bpe.encode), 16, tiny["end_token"])
    assert bpe.vocab_size == tiny["n_vocab"]
    for entry in tiny["prompts"]:
        assert bpe.encode(entry["prompt"]) == entry["ids"], entry["prompt"]
        tokens, mask = tokenizer([entry["prompt"]])
        assert tokens[0].tolist() == entry["padded_16"]
        assert mask.sum() == entry["n_real"]
        assert mask[0].tolist() == sorted(mask[0].tolist(), reverse=True)


def test_clip_ids_are_the_references(golden: Callable) -> None:
    tokenizer = ClipTokenizer(Vocabulary(clip_bpe()), 77)
    prompts = golden("bpe")["prompts"]
    assert len(prompts) == 25
    tokens, lengths = tokenizer([entry["prompt"] for entry in prompts])
    for entry, row, length in zip(prompts, tokens.tolist(), lengths.tolist(), strict=True):
        assert tokenizer.vocabulary.encode(entry["prompt"]) == entry["clip_ids"], entry["prompt"]
        assert row == entry["clip_padded_77"], entry["prompt"]
        assert length == entry["clip_len"]


def test_text_is_split_as_gpt2_splits_it(bpe: BytePairEncoding) -> None:
    regex = pytest.importorskip("regex")  # knows GPT-2's own pattern; open_clip brings it
    pattern = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
    texts = ["it's  two\n\n lines ", "½ x² Ⅷ ٣ 九 _a_", "naïve café 日本語 🐉!?", "\t\u00a0 'll 'S 'd", "e\u0301 \x1c"]
    # Without what Python's Unicode does not know yet, and regex's may.
    known = [chr(code) for code in range(0x3000) if unicodedata.category(chr(code)) != "Cn"]
    texts += ["".join(known[start : start + 256]) for start in range(0, len(known), 256)]
    for text in texts:
        words = bpe.tokenizer.pre_tokenizer.pre_tokenize_str(text)
        assert [text[start:end] for _, (start, end) in words] == pattern.findall(text)


def test_a_longer_prompt_is_cut(bpe: BytePairEncoding) -> None:
    tokenizer = TextTokenizer(Vocabulary(bpe.encode), 8, 276)
    assert tokenizer.cuts("0123 5678")
    assert not tokenizer.cuts("0123 567")
    tokens, mask = tokenizer(["0123 5678", "0123 567x"])
    assert tokens.shape == (2, 8)
    assert mask.all()
    assert tokens[0, :-1].tolist() == tokens[1, :-1].tolist()


def test_ids_without_a_row_are_left_out(bpe: BytePairEncoding) -> None:
    all_ids = Vocabulary(bpe.encode)
    kept = all_ids.encode("a red dog")
    vocabulary = Vocabulary(bpe.encode, kept)
    assert vocabulary.encode("a red dog") == list(range(len(kept)))
    assert vocabulary.encode("a red@ dog") == vocabulary.encode("a red dog")
    assert vocabulary.leaves_out("a red @ dog")
    assert not vocabulary.leaves_out("a red dog")
    assert not all_ids.leaves_out("anything @ all")


@pytest.mark.parametrize(
    ("vocab", "merges", "message"),
    [
        ("not json", "", "cannot be read"),
        ('["a"]', "", "not a vocabulary"),
        ('{"a": 1}', "", "not a vocabulary"),
        ('{"a": 0}', "", "do not belong together"),
        (None, "x y z", "do not belong together"),
        (None, "q zz", "do not belong together"),
    ],
)
def test_files_that_are_no_vocabulary_are_refused(
    vocab: str | None,
    merges: str,
    message: str,
    tmp_path: Path,
    golden: Callable,
) -> None:
    (tmp_path / "vocab.json").write_text(vocab or json.dumps(golden("bpe_tiny")["vocab"]), encoding="utf-8")
    (tmp_path / "merges.txt").write_text(merges, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_bpe(tmp_path / "vocab.json", tmp_path / "merges.txt")
