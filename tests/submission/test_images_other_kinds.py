"""A file under an image's name that is none is called what it is, with what to do."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from submission.__main__ import main
from submission.errors import run
from submission.images import ImageProblem, read_image

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12420\n"


def _saved(kind):
    file = io.BytesIO()
    PICTURE.save(file, kind)
    return file.getvalue()


def _numpy():
    file = io.BytesIO()
    np.save(file, np.asarray(PICTURE))
    return file.getvalue()


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"])
def test_other_formats_are_named(kind):
    name = {"WEBP": "WebP", "JPEG2000": "JPEG 2000"}.get(kind, kind)
    with pytest.raises(ImageProblem, match=f"is neither PNG nor JPEG but {name}, whatever its name says") as caught:
        read_image(_saved(kind), 64)
    assert "python -m submission import" in caught.value.hint


@pytest.mark.parametrize(
    ("data", "what", "hint"),
    [
        (LFS, "is a git-lfs pointer, not the image", "git lfs pull"),
        (b"/annex/objects/SHA256E-s12420--00.png\n", "is a git-annex pointer", "git annex get"),
        (b"../.git/annex/objects/x/SHA256E-s1--00.png", "is a git-annex pointer", "git annex get"),
        (b"<!DOCTYPE html><html><body>quota exceeded</body></html>", "is a web page", "download it again"),
        (b"\xef\xbb\xbf\r\n <HTML><head>" + "é".encode() * 5000, "is a web page", "download it again"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "is an XML document", "download it again"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "is an SVG drawing", "PNG"),
        (json.dumps({"error": "rate limit"}).encode(), "is JSON, not an image", "download it again"),
        (_numpy(), "is a numpy array, not an image", "the image itself"),
        (b"PK\x03\x04" + bytes(60), "is a zip, not an image", "the image itself"),
        (
            b"a red dragon\nSteps: 20\x20",
            "is neither PNG nor JPEG but text that begins 'a red dragon'",
            "the image itself",
        ),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI\x50\0\x20\x06" + bytes(60), "is a PNG as Apple packs it", "Pillow"),
        (bytes(12420), "holds nothing but zero bytes", "full disk"),
        (b"\x1b[2J" + bytes(range(128, 256)), "is neither PNG nor JPEG, whatever its name says", "Pillow"),
    ],
)
def test_what_is_no_picture_is_named(data, what, hint):
    with pytest.raises(ImageProblem) as caught:
        read_image(data, 64)
    assert what in caught.value.what
    assert hint in caught.value.hint


def test_a_pointer_among_the_images_is_told_by_name(tiny_competition, tiny_submission, capsys):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    (folder / "submission.json").unlink()
    (folder / "3_main.png").write_bytes(LFS)
    assert run(main, ["validate", str(folder), "-c", str(competition.root)]) == 3
    assert "3_main.png: is a git-lfs pointer, not the image" in capsys.readouterr().err
