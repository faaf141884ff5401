from __future__ import annotations

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
