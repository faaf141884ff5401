"""Precomputed feature statistics: mean and covariance, as FID tools keep them.

Two `.npy` files, mean and covariance; or one `.npz` with the arrays `mu` and `sigma`, as pytorch-fid and clean-fid
write them. What `python -m scorer statistics` writes also says of how many images they are, and of which network.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from submission import atomic, commands
from submission.archive import check_directory
from submission.errors import CompetitionError, shown
from submission.safe_read import NotReadable, open_regular

MAX_FEATURES = 8192
_MAX_ENTRIES = 1000  # of an .npz
_MAX_HEADER = 10_000  # bytes, NumPy's own limit
_MAX_TEXT = 200
_FACTS = ("n", "inception", "inception_sha256")  # what a file may say about itself
_MAX_BYTES = 8 * MAX_FEATURES**2 + _MAX_HEADER
# Of the largest variance. Float32 statistics are off by 1e-7; a matrix of correlations with a sign lost, by tenths.
_ASYMMETRY, _NEGATIVE = 1e-5, 1e-4


@dataclass(frozen=True)
class Statistics:
    """`mean` (D,) and `covariance` (D, D) of the features of `n` images, float64.

    `n`, `inception` (the protocol) and `inception_sha256` (its weights) are None where the file does not say.
    """

    mean: np.ndarray
    covariance: np.ndarray
    n: int | None = None
    inception: str | None = None
    inception_sha256: str | None = None

    @property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        return self.mean, self.covariance


def how_to_make(protocol: str = "PROTOCOL") -> str:
    """The hint of every error about statistics."""
    command = commands.module(f"scorer statistics FOLDER --inception {protocol} --out statistics.npz")
    return f"make them with: {command}"


def problem_of_names(names: Sequence[str]) -> str:
    """What is wrong with the file names that a competition gives, or nothing."""
    said = {
        (".npz",): "",
        (".npy", ".npy"): "",
        (".npz", ".npz"): "an .npz holds both mean and covariance: name one file",
        (".npy",): "an .npy holds one array: name two, the mean's and the covariance's",
    }
    kinds = tuple(Path(name).suffix.lower() for name in names)
    return said.get(kinds, "name one .npz (with mu and sigma), or two .npy: the mean's and the covariance's")


def read_statistics(files: Sequence[Path]) -> Statistics:
    """The statistics in one `.npz` or two `.npy` files. Raises CompetitionError."""
    if problem := problem_of_names([str(file) for file in files]):
        raise CompetitionError(f"statistics {', '.join(file.name for file in files)}: {problem}")
    if len(files) == 2:
        mean_place, covariance_place = map(str, files)
        mean, covariance = map(_read_npy, files)
        facts: dict[str, Any] = {}
    else:
        mean_place, covariance_place = f"{files[0]}: mu", f"{files[0]}: sigma"
        mean, covariance, facts = _read_npz(files[0])
    if mean.ndim == 2 and len(mean) == 1:
        mean = mean[0]
    if mean.ndim == 2 and covariance.ndim == 1:
        raise CompetitionError(f"{mean_place}: is a matrix, and the second file a vector: name the mean first")
    if mean.ndim != 1 or not 1 <= len(mean) <= MAX_FEATURES:
        raise CompetitionError(_wrong_shape(mean_place, mean, "(features,)"))
    if covariance.shape != (len(mean), len(mean)):
        if covariance.shape == mean.shape:
            what = "standard deviations or variances, one a feature, where the FID needs all covariances"
            raise CompetitionError(f"{covariance_place}: has the shape {covariance.shape}: {what}\n  {how_to_make()}")
        expected = f"{(len(mean), len(mean))}, because the mean has {len(mean)} features"
        raise CompetitionError(_wrong_shape(covariance_place, covariance, expected))
    for place, array in ((mean_place, mean), (covariance_place, covariance)):
        if not np.isfinite(array).all():
            raise CompetitionError(f"{place}: has values that are not finite")
    _check_covariance(covariance_place, covariance)
    return Statistics(mean, covariance, **facts)


def write_statistics(file: Path, statistics: Statistics) -> None:
    """An `.npz` that pytorch-fid and clean-fid read too; equal statistics give equal bytes."""
    buffer = io.BytesIO()
    facts = {name: getattr(statistics, name) for name in _FACTS}
    known: dict[str, Any] = {name: np.array(value) for name, value in facts.items() if value is not None}
    np.savez(buffer, mu=statistics.mean, sigma=statistics.covariance, **known)
    atomic.write_bytes(file, buffer.getvalue())


def _check_covariance(place: str, covariance: np.ndarray) -> None:
    scale = np.abs(covariance).max()
    if np.abs(covariance - covariance.T).max() > _ASYMMETRY * scale:
        raise CompetitionError(f"{place}: is not symmetric, so it is no covariance matrix")
    if np.diagonal(covariance).min() < -_NEGATIVE * scale:
        raise CompetitionError(f"{place}: has negative variances on its diagonal")
    if scale == 0:
        return
    try:
        # Exists if and only if no eigenvalue is below minus what is added, and costs a tenth of the eigenvalues.
        np.linalg.cholesky(covariance + _NEGATIVE * scale * np.eye(len(covariance)))
    except np.linalg.LinAlgError:
        what = "is no covariance matrix: some mixture of features would have a negative variance"
        raise CompetitionError(f"{place}: {what}\n  {how_to_make()}") from None


def _wrong_shape(place: str, array: np.ndarray, expected: str) -> str:
    text = f"{place}: has the shape {array.shape}, expected {expected}, with at most {MAX_FEATURES} features"
    if array.ndim == 2 and array.shape[0] != array.shape[1]:
        text += f"\n  are these the features of {array.shape[0]} images? Needed are their mean and covariance"
        text += f"\n  {how_to_make()}"
    return text


def _read_npy(file: Path) -> np.ndarray:
    try:
        with open_regular(file, follow=True) as stream:
            return _numbers(_read_array(stream, min(os.fstat(stream.fileno()).st_size, _MAX_BYTES)))
    except (NotReadable, OSError) as error:
        raise CompetitionError(f"{file}: {error}") from None
    except ValueError as error:
        raise CompetitionError(f"{file}: is not a .npy file of plain numbers: {error}") from None


def _read_npz(file: Path) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Mean, covariance, and what the file says about itself."""
    try:
        with open_regular(file, follow=True) as stream:
            check_directory(stream, _MAX_ENTRIES)
            with zipfile.ZipFile(stream) as archive:
                members = {name.removesuffix(".npy"): name for name in archive.namelist()}
                if missing := [name for name in ("mu", "sigma") if name not in members]:
                    there = ", ".join(shown(name, 40) for name in sorted(members)[:10]) or "nothing"
                    what = f"has no {' and no '.join(missing)} (it has: {there})"
                    raise CompetitionError(f"{file}: {what}\n  {how_to_make()}")
                mean, covariance = (_numbers(_member(archive, members[name], _MAX_BYTES)) for name in ("mu", "sigma"))
                known = [name for name in _FACTS if name in members]
                facts = {name: _fact(_member(archive, members[name], _MAX_HEADER), name) for name in known}
                return mean, covariance, facts
    except (NotReadable, OSError) as error:
        raise CompetitionError(f"{file}: {error}") from None
    except (ValueError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        if isinstance(error, CompetitionError):
            raise
        raise CompetitionError(f"{file}: is not an .npz file of plain numbers: {shown(str(error))}") from None


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> np.ndarray:
    with archive.open(name) as stream:
        try:
            return _read_array(stream, min(archive.getinfo(name).file_size, limit))
        except (ValueError, zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"{name}: {error}") from None
        except Exception as error:  # zlib.error, lzma.LZMAError: no common ancestor but this
            raise ValueError(f"{name}: cannot be unpacked ({type(error).__name__})") from None


def _read_array(stream: IO[bytes], size: int) -> np.ndarray:
    """One array in NumPy's format. Its size is known before memory is taken. Raises ValueError."""
    header_readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if (version := npy.read_magic(stream)) not in header_readers:
        raise ValueError(f"format version {version}")
    shape, fortran, dtype = header_readers[version](stream, max_header_size=_MAX_HEADER)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read")
    count = math.prod(shape)  # of Python's integers, which do not overflow
    if len(shape) > 2 or min(shape, default=0) < 0 or count > MAX_FEATURES**2:
        raise ValueError(f"its shape is {shape}: no vector or matrix, or larger than {MAX_FEATURES} × {MAX_FEATURES}")
    if count * dtype.itemsize > size:
        raise ValueError(f"it announces {count * dtype.itemsize:,} bytes, and {size:,} are there or are read at most")
    data = stream.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise ValueError("it is cut off")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _numbers(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "c":
        raise ValueError("it holds complex numbers; a covariance is real (a matrix square root may not be)")
    if array.dtype.kind != "f":
        raise ValueError(f"it holds {array.dtype}, not floating-point numbers")
    if array.dtype.itemsize < 4:
        raise ValueError(f"{array.dtype} has three digits, too few for a FID; save float32 or float64")
    return np.array(array, dtype=np.float64, order="C")


def _fact(array: np.ndarray, name: str) -> int | str:
    if array.ndim == 0 and name == "n" and array.dtype.kind in "iu" and int(array) >= 1:
        return int(array)
    if array.ndim == 0 and name != "n" and array.dtype.kind == "U" and array.dtype.itemsize <= 4 * _MAX_TEXT:
        return str(array)
    raise ValueError(f"{name} is not {'a number of images' if name == 'n' else 'a short text'}")
