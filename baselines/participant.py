"""A participant's own generator: a class in a Python file, named `path/to/file.py:Class`."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from baselines import options as option
from baselines.generator import Generator, GeneratorError, call
from baselines.hardware import Hardware
from submission import Competition
from submission.errors import UsageError

OFFERED = ("competition", "device", "precision", *option.OPTIONS)
# This project's own, which are no part of a generator that lies beside them.
_ROOMS = {"baselines", "benchmarks", "leaderboard", "scorer", "submission", "targets", "tests"}


def names_a_file(model: str) -> bool:
    """Whether MODEL is a file's and not a shipped model's name."""
    return re.fullmatch(r".+\.py(:\w*)?", model) is not None


def _split(model: str) -> tuple[str, str]:
    """FILE.py:Class in two; the class is "" where there is none."""
    path, _, name = model.rpartition(":")
    return (path, name) if path.endswith(".py") else (model, "")


def file_of(model: str) -> Path:
    """Raises UsageError when there is no such file."""
    path = Path(_split(model)[0]).expanduser()
    if not path.is_file():
        raise UsageError(f"there is no file {path} to load {model} from")
    return path


def load_class(model: str) -> type:
    """Run the file and take the class from it.

    Raises:
        UsageError: no such file, or no such class in it.
        GeneratorError: the file itself raises.
    """
    path, (_, name) = file_of(model), _split(model)
    module = call(f"{path.name} cannot be loaded", lambda: _run(path))
    with_generate = [own for own, value in vars(module).items() if _is_own_generator(value, module)]
    if not name:
        there = " or ".join(f"{path}:{found}" for found in with_generate) or f"{path}:MyModel"
        raise UsageError(f"{model} names no class: say {there}")
    found = getattr(module, name, None)
    if not isinstance(found, type):
        close = get_close_matches(name, with_generate, 1) or with_generate
        hint = f"; did you mean {', '.join(close)}?" if close else "; write a class with generate(self, prompts, seeds)"
        raise UsageError(f"{path} has no class {name}{hint}")
    if not callable(getattr(found, "generate", None)):
        raise UsageError(f"the class {name} in {path} has no method generate(self, prompts, seeds)")
    return found


def takes(cls: type) -> tuple[str, ...]:
    """Which of `OFFERED` the class's `__init__` names (all, when it has **kwargs)."""
    if cls.__init__ is object.__init__:  # type: ignore[misc]
        return ()
    try:
        parameters = inspect.signature(cls).parameters.values()
    except ValueError:  # compiled classes have none
        return ()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return OFFERED
    return tuple(parameter.name for parameter in parameters if parameter.name in OFFERED)


def load(model: str, cls: type, competition: Competition, hardware: Hardware, options: Mapping[str, Any]) -> Generator:
    """The class's instance. `options` are checked already.

    Raises:
        UsageError: `__init__` requires something that is not offered or was not given.
        GeneratorError: `__init__` raises.
    """
    offered = {"competition": competition, "device": hardware.device, "precision": hardware.precision}
    arguments = {**options, **{name: value for name, value in offered.items() if name in takes(cls)}}
    if cls.__init__ is not object.__init__:  # type: ignore[misc]
        try:
            inspect.signature(cls).bind(**arguments)
        except TypeError as error:
            given = f"{model}: its __init__ was given {sorted(arguments)}: {error}"
            raise UsageError(f"{given}\n  offered: {', '.join(OFFERED)}") from None
    generator: Generator = call(f"{model}: its __init__ raised", lambda: cls(**arguments))
    return generator


def sources(path: Path) -> dict[str, Path]:
    """The generator's file and those of its folder that it has imported by now, by their places in that folder."""
    path = path.resolve()
    found = {path.name: path}
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is None or name.partition(".")[0] in _ROOMS:
            continue
        place = Path(file).resolve()
        # An environment may lie in the folder, too.
        if place.suffix == ".py" and place.is_relative_to(path.parent) and "site-packages" not in place.parts:
            found[place.relative_to(path.parent).as_posix()] = place
    return found


def _run(path: Path) -> ModuleType:
    """Files beside it can be imported, as with `python path`, but they never shadow installed modules."""
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(f"participant_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise GeneratorError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look a class's module up there
    spec.loader.exec_module(module)
    return module


def _is_own_generator(value: object, module: ModuleType) -> bool:
    return (
        isinstance(value, type) and value.__module__ == module.__name__ and callable(getattr(value, "generate", None))
    )
