"""Files of statistics: the forms that FID tools write are read, everything else is refused in words."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from submission import Competition, CompetitionError
from submission.statistics import Statistics, read_statistics, write_statistics

D = 12
FEATURES = np.random.default_rng(0).normal(size=(500, D)) @ np.random.default_rng(1).normal(size=(D, D))
MEAN, COVARIANCE = FEATURES.mean(0), np.cov(FEATURES, rowvar=False)


@pytest.fixture
def npy(tmp_path: Path) -> Callable[..., list[Path]]:
    """npy(mean, covariance): the two files."""

    def save(*arrays: np.ndarray) -> list[Path]:
        paths = [tmp_path / name for name in ("mu.npy", "sigma.npy")]
        for path, array in zip(paths, arrays, strict=True):
            np.save(path, array)
        return paths

    return save


def npz(path: Path, compressed: bool = False, **arrays: np.ndarray) -> list[Path]:
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return [path]


@pytest.mark.parametrize("dtype", ["f8", ">f8", "f4", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("form", ["npy", "npz", "compressed"])
def test_both_forms_in_any_order_of_bytes_and_axes(tmp_path: Path, npy, dtype: str, order: str, form: str) -> None:
    mean, covariance = MEAN.astype(dtype), np.asarray(COVARIANCE.astype(dtype), order=order)
    if form == "npy":
        files = npy(mean, covariance)
    else:
        files = npz(tmp_path / "x.npz", form == "compressed", mu=mean, sigma=covariance, arr_0=np.zeros(3))
    found = read_statistics(files)
    assert found.mean.dtype == found.covariance.dtype == np.float64
    assert found.mean.dtype.isnative
    np.testing.assert_array_equal(found.mean, mean.astype("f8"))
    np.testing.assert_array_equal(found.covariance, covariance.astype("f8"))
    assert (found.n, found.inception, found.inception_sha256) == (None, None, None)


def test_a_row_and_a_singular_covariance_are_right(npy) -> None:
    few = np.cov(FEATURES[:4], rowvar=False)
    found = read_statistics(npy(MEAN[None], few.astype("f4")))
    assert found.mean.shape == (D,)
    assert read_statistics(npy(MEAN, np.zeros((D, D)))).covariance.sum() == 0


def test_what_is_written_is_read_again_and_by_numpy_as_other_tools_do(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    write_statistics(file, Statistics(MEAN, COVARIANCE, 500, "clean", "a" * 64))
    first = file.read_bytes()
    found = read_statistics([file])
    assert (found.n, found.inception, found.inception_sha256) == (500, "clean", "a" * 64)
    np.testing.assert_array_equal(found.covariance, COVARIANCE)
    with np.load(file) as other:  # pytorch-fid: f["mu"][:], f["sigma"][:]
        np.testing.assert_array_equal(other["mu"][:], MEAN)
        np.testing.assert_array_equal(other["sigma"][:], COVARIANCE)
    write_statistics(file, found)
    assert file.read_bytes() == first


@pytest.mark.parametrize(
    ("mean", "covariance", "said"),
    [
        (COVARIANCE, MEAN, "mu.npy: is a matrix, and the second file a vector: name the mean first"),
        (MEAN, FEATURES.std(0), "standard deviations or variances"),
        (FEATURES, FEATURES, "the features of 500 images"),
        (MEAN, FEATURES, "expected (12, 12), because the mean has 12 features"),
        (MEAN, COVARIANCE[:5, :5], "expected (12, 12)"),
        (MEAN.astype("f2"), COVARIANCE, "mu.npy: is not a .npy file of plain numbers: float16 has three digits"),
        (MEAN, COVARIANCE.astype(complex), "complex numbers"),
        (MEAN.astype(int), COVARIANCE, "holds int64, not floating-point numbers"),
        (MEAN, COVARIANCE * np.nan, "sigma.npy: has values that are not finite"),
        (MEAN * np.inf, COVARIANCE, "mu.npy: has values that are not finite"),
        (MEAN, np.triu(COVARIANCE), "is not symmetric"),
        (MEAN, -COVARIANCE, "negative variances"),
        (MEAN, COVARIANCE - 3 * np.diag(np.diag(COVARIANCE)) * (np.eye(D) - 1), None),
        (MEAN, 2 * np.diag(np.diag(COVARIANCE)) - COVARIANCE - 9 * np.ones((D, D)) * (1 - np.eye(D)), "negative var"),
        (np.array([MEAN, None], object), COVARIANCE, "Python objects, which are not read"),
        (np.zeros((1, 2, 3)), COVARIANCE, "larger than"),
        (np.zeros(0), np.zeros((0, 0)), "expected (features,)"),
    ],
)
def test_what_is_no_mean_and_covariance_says_why(npy, mean, covariance, said: str | None) -> None:
    files = npy(mean, covariance)
    if said is None:
        read_statistics(files)
        return
    with pytest.raises(CompetitionError) as caught:
        read_statistics(files)
    assert said in str(caught.value)
    assert str(files[0].parent) in str(caught.value)


def header(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    """The beginning of a .npy file."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "EOF"),
        (b"\x93NUMPY\x09\x00", "format version"),
        (header((2**40,)), "larger than"),
        (header((2**62, 2**62)), "larger than"),
        (header((8192, 8192)), "announces 536,870,912 bytes, and"),
        (header((3,), "<U200000000"), "bytes, and"),
        (header((3,)) + b"\0" * 23, "it is cut off"),
        (header((3,)).replace(b"(3,)", b"(-3,)"), ""),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, ""),
        (b"git-lfs pointer, version https://git-lfs.github.com/spec/v1", "magic"),
    ],
)
def test_hostile_files_are_refused_before_they_cost_anything(tmp_path: Path, data: bytes, said: str) -> None:
    files = [tmp_path / "mu.npy", tmp_path / "sigma.npy"]
    files[0].write_bytes(data)
    np.save(files[1], COVARIANCE)
    with pytest.raises(CompetitionError) as caught:
        read_statistics(files)
    assert said in str(caught.value)
    archive = tmp_path / "x.npz"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("mu.npy", data)
        out.writestr("sigma.npy", files[1].read_bytes())
    with pytest.raises(CompetitionError, match="mu"):
        read_statistics([archive])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"mean": MEAN, "cov": COVARIANCE}, r"has no mu and no sigma \(it has: cov, mean\)"),
        ({"mu": MEAN}, "has no sigma"),
        ({"mu": MEAN, "sigma": COVARIANCE, "n": np.array(-5)}, "n is not a number of images"),
        ({"mu": MEAN, "sigma": COVARIANCE, "n": np.array(5.0)}, "n is not a number of images"),
        ({"mu": MEAN, "sigma": COVARIANCE, "inception": np.array("x" * 300)}, "inception is not a short text"),
        ({"mu": MEAN, "sigma": COVARIANCE, "inception": np.array(["a", "b"])}, "inception is not a short text"),
        ({"mu": MEAN, "sigma": np.array([None])}, "Python objects"),
    ],
)
def test_an_npz_without_what_it_needs(tmp_path: Path, arrays: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(CompetitionError, match=said):
        read_statistics(npz(tmp_path / "x.npz", **arrays))


def test_broken_archives(tmp_path: Path) -> None:
    (file,) = npz(tmp_path / "x.npz", compressed=True, mu=MEAN, sigma=COVARIANCE)
    data = file.read_bytes()
    for broken in (b"", b"PK", data[:-30], data[: len(data) // 2], data[:300] + b"\xff" * 50 + data[350:]):
        file.write_bytes(broken)
        with pytest.raises(CompetitionError, match=r"x\.npz"):
            read_statistics([file])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('statistics = "x.npz"', ""),
        ('statistics = ["x.npz"]', ""),
        ('statistics = ["mu.npy", "sigma.npy"]', ""),
        ('statistics = ["x.npz", "x.npz"]', "an .npz holds both mean and covariance: name one file"),
        ('statistics = "mu.npy"', "an .npy holds one array: name two"),
        ('statistics = ["mu.npy", "x.npz"]', "name one .npz"),
        ('statistics = "x.pt"', "name one .npz"),
        ("statistics = []", "competition.statistics"),
    ],
)
def test_how_a_competition_names_them(tiny_competition, line: str, said: str) -> None:
    root = tiny_competition().root
    file = root / "competition.toml"
    file.write_text(file.read_text().replace("gate =", f"{line}\ngate =", 1))
    npz(root / "x.npz", mu=MEAN, sigma=COVARIANCE)
    np.save(root / "mu.npy", MEAN)
    np.save(root / "sigma.npy", COVARIANCE)
    if said:
        with pytest.raises(CompetitionError) as caught:
            Competition.load(file)
        assert said in str(caught.value)
        return
    competition = Competition.load(file)
    found = competition.statistics()
    assert found is not None
    np.testing.assert_array_equal(found.covariance, COVARIANCE)
    assert {path.name for what, path in competition.data_files() if what == "statistics"} <= {
        "x.npz",
        "mu.npy",
        "sigma.npy",
    }
