"""What libraries say is kept back, what their users say or asked for is not, and afterwards everything is as it was."""

from __future__ import annotations

import logging
import re
import sys
import sysconfig
import tomllib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from submission import library_messages
from submission.errors import run
from submission.library_messages import quiet_libraries
from submission.paths import repo_root

SPEAKS = """
import logging
import warnings

def warn():
    warnings.warn("warned of", stacklevel=1)

def log(level, name=None):
    logging.getLogger(name).log(level, "logged")
"""


def module(path: Path) -> ModuleType:
    """A module that warns and logs, as if it were in the file `path`."""
    made = ModuleType(path.stem)
    made.__file__ = str(path)
    exec(compile(SPEAKS, path, "exec"), made.__dict__)
    return made


@pytest.fixture
def library() -> ModuleType:
    return module(Path(sysconfig.get_path("purelib")) / "some_library.py")


@pytest.fixture
def users(tmp_path: Path) -> ModuleType:
    return module(tmp_path / "my_model.py")


@pytest.fixture(autouse=True)
def nothing_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "warnoptions", [])
    for variable in library_messages._VERBOSITY.values():
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def shown() -> Iterator[list[warnings.WarningMessage]]:
    """The warnings that would be shown, each time they are given."""
    with warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always")
        yield messages


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[Callable[[], None]], str]:
    """What a call's log shows on stderr, without the handlers that pytest gives the root logger."""

    def run_it(call: Callable[[], None]) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(logging.getLogger(), "handlers", [])
            capsys.readouterr()
            call()
            return capsys.readouterr().err

    return run_it


def test_a_librarys_warning_is_not_shown_and_a_users_is(library, users, shown) -> None:
    with quiet_libraries():
        library.warn()
        assert not shown
        users.warn()
        assert Path(shown[0].filename).name == "my_model.py"
    library.warn()
    assert len(shown) == 2


def test_a_warning_that_this_code_causes_is_a_librarys_too(shown) -> None:
    """A library may give its caller's line as the place; no reader can act on it."""
    ours = module(repo_root() / "baselines" / "monster" / "pipeline.py")
    with quiet_libraries():
        ours.warn()
    assert not shown


def test_warnings_that_were_asked_for_are_shown(library, shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "warnoptions", ["default"])
    with quiet_libraries():
        library.warn()
    assert shown


def test_a_warning_that_is_to_be_an_error_is_one(library) -> None:
    with quiet_libraries(), pytest.raises(UserWarning, match="warned of"):
        library.warn()


@pytest.mark.parametrize("name", [None, "some_library", "torch", "open_clip.factory", "accelerate.state"])
def test_of_a_librarys_log_only_errors_are_shown(library, logged, name: str | None) -> None:
    with quiet_libraries():
        assert logged(lambda: library.log(logging.WARNING, name)) == ""
        assert "logged" in logged(lambda: library.log(logging.ERROR, name))
    assert "logged" in logged(lambda: library.log(logging.WARNING, name))


@pytest.mark.parametrize("name", [None, "my_model"])
def test_what_users_log_is_shown(users, logged, name: str | None) -> None:
    with quiet_libraries():
        assert "logged" in logged(lambda: users.log(logging.WARNING, name))


def test_a_library_that_logs_as_the_root_leaves_no_way_for_others(library, logged) -> None:
    """`logging.warning` gives the root a handler, which whatever is logged after it reaches."""

    def log() -> None:
        exec(compile("import logging; logging.warning('first')", library.__file__, "exec"), {})
        library.log(logging.WARNING, "timm.models")

    with quiet_libraries():
        assert logged(log) == ""


@pytest.fixture
def level() -> Iterator[Callable[[int], None]]:
    logger = logging.getLogger("diffusers")
    before = logger.level
    yield logger.setLevel
    logger.setLevel(before)


@pytest.mark.parametrize(("chosen", "within"), [(10, 10), (20, 20), (30, 40), (40, 40), (50, 50)])
def test_a_level_that_was_chosen_stays(level, chosen: int, within: int) -> None:
    level(chosen)
    with quiet_libraries():
        with quiet_libraries():
            assert logging.getLogger("diffusers").level == within
        assert logging.getLogger("diffusers").level == within
    assert logging.getLogger("diffusers").level == chosen


def test_a_verbosity_that_was_chosen_stays(level, monkeypatch: pytest.MonkeyPatch) -> None:
    level(30)
    monkeypatch.setenv("DIFFUSERS_VERBOSITY", "warning")
    with quiet_libraries():
        assert logging.getLogger("diffusers").level == 30


def test_it_ends_with_everything_as_it_was() -> None:
    def settings() -> list[object]:
        handlers = [logging.getLogger(), logging.lastResort]
        levels = {name: logging.getLogger(name).getEffectiveLevel() for name in library_messages.LIBRARIES}
        return [warnings.showwarning, *[list(each.filters) for each in handlers], levels]

    before = settings()
    with pytest.raises(KeyError), quiet_libraries(), quiet_libraries():
        raise KeyError
    assert settings() == before


@pytest.mark.parametrize("module_name", library_messages._BARS)
def test_bars_are_off_and_on_again(module_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = ModuleType(module_name)
    bars._tqdm_active = True
    monkeypatch.setitem(sys.modules, module_name, bars)
    with quiet_libraries():
        assert bars._tqdm_active is False
    assert bars._tqdm_active is True


def test_every_command_is_quiet(library, users, shown, logged) -> None:
    def main(_argv: object) -> None:
        library.warn()
        library.log(logging.WARNING)
        users.log(logging.WARNING)

    assert logged(lambda: run(main)).splitlines() == ["logged"]
    assert not shown


def test_every_library_that_is_installed_for_it_is_known() -> None:
    project = tomllib.loads((repo_root() / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["baselines"]
    names = {re.match(r"[\w-]+", line)[0].lower().replace("_", "-") for line in needed}
    imported = {
        "clean-fid": "cleanfid",
        "huggingface-hub": "huggingface_hub",
        "open-clip-torch": "open_clip",
        "pillow": "PIL",
        "tensorboardx": "tensorboardX",
    }
    assert {imported.get(name, name) for name in names} <= set(library_messages.LIBRARIES)
