from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from submission import atomic


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "board.csv"
    atomic.write_text(path, "old")
    with pytest.raises(RuntimeError), atomic.replacing(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_goes_and_what_a_living_one_writes_stays(tmp_path):
    code = "import os, signal, sys; from submission import atomic\nwith atomic.replacing(sys.argv[1]) as file:\n"
    code += "    file.write(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], cwd=Path(atomic.__file__).parents[1], check=False)
    (orphan,) = tmp_path.iterdir()
    assert atomic.is_leftover(orphan.name)
    elsewhere = tmp_path / f".00000000-{orphan.name.split('-', 1)[1]}"
    elsewhere.write_bytes(b"half")
    old, foreign = tmp_path / f".00000000-1-{'0' * 16}.part", tmp_path / ".download.part"
    for path in (old, foreign):
        path.write_bytes(b"half")
        os.utime(path, (0, 0))
    with atomic.replacing(tmp_path / "b") as file:
        file.write(b"whole")
        atomic.remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"b", elsewhere.name, foreign.name}


def test_the_file_has_ordinary_permissions(tmp_path):
    umask = os.umask(0o022)
    try:
        atomic.write_bytes(tmp_path / "a", b"x")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_names_as_long_as_a_file_system_allows(tmp_path):
    atomic.write_bytes(tmp_path / ("n" * 255), b"x")


def test_devices_are_written_to_not_replaced():
    atomic.write_bytes(os.devnull, b"x")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="needs /dev/stdout")
def test_standard_output_is_written_to_wherever_it_leads(tmp_path):
    code = "import sys; from submission import atomic; print('before', flush=True)\n"
    code += "atomic.write_bytes('/dev/stdout', b'whole\\n'); print('after')"
    link = os.readlink("/dev/stdout")
    with (tmp_path / "log").open("wb") as file:
        subprocess.run([sys.executable, "-c", code], cwd=Path(atomic.__file__).parents[1], stdout=file, check=True)
    assert (tmp_path / "log").read_text() == "before\nwhole\nafter\n"
    assert os.readlink("/dev/stdout") == link


def test_json_keeps_the_order_and_has_no_nan(tmp_path):
    atomic.write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n "b": 1,\n "a": "é"\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        atomic.write_json(tmp_path / "a.json", {"a": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["b"] == 1


@pytest.mark.parametrize("moment", range(5))
def test_a_folder_is_the_old_one_or_the_new_one_whenever_the_process_dies(tmp_path, monkeypatch, moment):
    """`moment` system calls are made, the next one never returns; twice in a row, then all goes well."""
    path = tmp_path / "state"
    assert atomic.latest_folder(path) is None
    for number in range(4):
        calls = iter(range(9))

        def dying(call, survives=number in (0, 3), calls=calls):
            def made(*arguments, **options):
                if not survives and next(calls) >= moment:
                    raise KeyboardInterrupt
                return call(*arguments, **options)

            return made

        fresh = tmp_path / "state.part"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        (fresh / "progress").write_text(str(number))
        before = (atomic.latest_folder(path) / "progress").read_text() if number else None
        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", dying(Path.rename))
            patched.setattr(atomic.shutil, "rmtree", dying(shutil.rmtree))
            try:
                atomic.replace_folder(fresh, path)
            except KeyboardInterrupt:
                assert number in (1, 2)
        assert (atomic.latest_folder(path) / "progress").read_text() in (before, str(number))
    assert (path / "progress").read_text() == "3"
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]
    atomic.remove_folder(path)
    assert atomic.latest_folder(path) is None


@pytest.mark.skipif(os.name == "nt", reason="folders are no files there")
def test_what_is_acknowledged_has_its_name_on_the_disk_too(tmp_path, monkeypatch):
    """The file's bytes, then the rename, then the folder: in another order a power cut leaves an empty file or none."""
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor):
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def watched_replace(path, target):
        calls.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    atomic.write_bytes(tmp_path / "board.csv", b"x")
    assert calls == ["file", "rename", "folder"]
    calls.clear()
    atomic.write_bytes(tmp_path / "image.png", b"x", lasting=False)
    assert calls == ["file", "rename"]


@pytest.mark.skipif(os.name == "nt", reason="folders are no files there")
def test_a_disk_that_fails_is_said_and_a_file_system_without_the_call_is_not(tmp_path, monkeypatch):
    def failing(number):
        def fsync(descriptor):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(number, os.strerror(number))

        return fsync

    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    atomic.write_bytes(tmp_path / "a", b"x")
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        atomic.write_bytes(tmp_path / "a", b"y")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_file_keeps_its_permissions(tmp_path, mode):
    path = tmp_path / "board.csv"
    path.write_bytes(b"old")
    path.chmod(mode)
    with atomic.replacing(path) as file:
        (temporary,) = (entry for entry in tmp_path.iterdir() if entry != path)
        assert stat.S_IMODE(temporary.stat().st_mode) == mode  # before there is anything in it to read
        file.write(b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", mode)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_keeps_its_owner(tmp_path):
    path = tmp_path / "board.csv"
    path.write_bytes(b"old")
    os.chown(path, 1234, 4321)
    atomic.write_bytes(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)
