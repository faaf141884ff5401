"""The project's own files agree with each other and with the code."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from baselines.registry import MODELS
from submission import paths

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOMS = paths.ROOMS

# Where the name to import is not the name to install.
INSTALLED_AS = {
    "PIL": "pillow",
    "open_clip": "open_clip_torch",
    "cleanfid": "clean-fid",
    "yaml": "pyyaml",
    "pydantic_core": "pydantic",
    "skimage": "scikit-image",
}


def dependencies(*extras: str) -> list[str]:
    project = PROJECT["project"]
    return sum((project["optional-dependencies"][extra] for extra in extras), project["dependencies"])


def name_of(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9_.-]+", requirement).group().lower().replace("_", "-")  # type: ignore[union-attr]


def python_files(*folders: str) -> list[Path]:
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    return [file for file in files if (ROOT / "submission" / "out") not in file.parents]


def imported(file: Path) -> set[str]:
    """The top-level names that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    ours = {path.stem for path in (ROOT / "tests" / "support").iterdir()} | {"benchmarks", "drawoff", "targets"}
    return found - set(sys.stdlib_module_names) - set(ROOMS) - ours


def test_conda_and_pip_install_the_same() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert sorted(pip) == sorted([*dependencies("baselines", "dev"), "--editable ."])
    assert f"python{PROJECT['project']['requires-python']}" in environment["dependencies"]


@pytest.mark.parametrize(
    ("folders", "extras"),
    [
        (("submission", "competitions", "scorer", "leaderboard"), ()),
        (("baselines",), ("baselines",)),
        (("tests",), ("baselines", "dev")),
    ],
    ids=["core", "baselines", "tests"],
)
def test_what_is_imported_is_declared(folders: tuple[str, ...], extras: tuple[str, ...]) -> None:
    declared = {name_of(requirement) for requirement in dependencies(*extras)}
    # The scorer's backbones are trained with what the generators are trained with.
    trainers = {file for file in python_files("scorer") if file.stem.startswith("train")}
    for file in python_files(*folders):
        needed = {INSTALLED_AS.get(name, name).lower().replace("_", "-") for name in imported(file) - {"_typeshed"}}
        allowed = declared | ({"accelerate"} if file in trainers else set())
        assert needed <= allowed, f"{file.relative_to(ROOT)} imports {sorted(needed - allowed)}, which is not declared"


def test_the_rooms_import_as_the_architecture_says() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("submission", "import torch"),
        ("submission", "import leaderboard"),
        ("leaderboard", "from scorer import score"),
        ("scorer", "import diffusers"),
        ("scorer", "from leaderboard import append"),
        ("baselines", "import scorer"),
        ("baselines", "from competitions.bestiary import artist"),
        ("submission", "import competitions"),
        ("competitions/bestiary", "import scorer"),
        ("competitions", "import torch"),
        ("baselines/monster", "import baselines.glide"),
    ],
)
def test_a_forbidden_import_is_caught(tmp_path: Path, room: str, line: str) -> None:
    for name in ROOMS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / "competitions" / "bestiary").mkdir()
    for name in ("__init__", "artist"):
        (tmp_path / "competitions" / "bestiary" / f"{name}.py").write_text("")
    for model in {row.target.split(".")[1] for row in MODELS.values()}:
        (tmp_path / "baselines" / model).mkdir()
        (tmp_path / "baselines" / model / "__init__.py").write_text("")
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for text, expected in (("", 0), (line, 1)):
        (tmp_path / room / "offender.py").write_text(text + "\n")
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == expected, done.stdout + done.stderr


def test_every_folder_with_code_is_a_package() -> None:
    """What is in none, import-linter does not see."""
    folders = {file.parent for file in python_files(*ROOMS)}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_a_module_that_a_docstring_names_is_there() -> None:
    """And the function or class in it, where one is named: in backticks, or after `python -m`."""
    named = re.compile(rf"(?:`|python -m )((?:{'|'.join(ROOMS)})(?:\.\w+)+)(?=[`: ])")
    stale = []
    for file in python_files(*ROOMS):
        for name in named.findall(file.read_text(encoding="utf-8")):
            parts, place = name.split("."), ROOT
            while parts and (place / parts[0]).is_dir():
                place /= parts.pop(0)
            module = place / f"{parts[0]}.py" if parts else place
            defined = parts[1:] if module.exists() else parts
            text = (module if module.is_file() else place / "__init__.py").read_text(encoding="utf-8")
            if not all(re.search(rf"\b{part}\b", text) for part in defined) and parts != ["json"]:
                stale.append(f"{file.relative_to(ROOT)}: {name}")
    assert stale == []


def test_a_name_that_is_defined_nowhere_is_caught_and_a_shape_is_none(tmp_path: Path) -> None:
    """jaxtyping writes one axis as `" n"`: read as a name it would be an undefined one, and hide those that are."""
    text = """
from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def double(x: Float[Tensor, " n"], y: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    return {} * x
"""
    ruff = [Path(sys.executable).with_name("ruff"), "check", "--no-cache", "--config", ROOT / "pyproject.toml"]
    for factor, code in (("2", 0), ("twice", 1)):
        (tmp_path / "room.py").write_text(text.format(factor).lstrip())
        done = subprocess.run([*ruff, tmp_path / "room.py"], capture_output=True, text=True)
        assert done.returncode == code, done.stdout
        assert ("F821" in done.stdout) == bool(code)


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_exports_is_there(room: str) -> None:
    module = importlib.import_module(room)
    assert module.__doc__
    assert sorted(set(module.__all__)) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_the_names_that_others_build_on_are_exported() -> None:
    import baselines
    import leaderboard
    import scorer
    import submission

    assert {"Competition", "Submission", "Scorecard", "SubmissionError", "CompetitionError"} <= set(submission.__all__)
    assert {"append", "rank", "read"} <= set(leaderboard.__all__)
    assert "score" in scorer.__all__
    assert "load" in baselines.__all__


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME")} | variables
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)


def targets() -> set[str]:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    return set(phony.group(1).split())


def test_every_target_explains_itself() -> None:
    listed = set(re.findall(r"^  make ([\w-]+) ", make().stdout, re.MULTILINE))
    assert listed == targets()
    assert {"env", "data", "submission", "score", "check", "leaderboard", "pack", "train", "lint", "test"} <= listed


@pytest.mark.parametrize("target", sorted(targets() - {"help", "clean"}))
def test_every_target_can_be_rehearsed(target: str) -> None:
    done = make("--dry-run", target)
    assert done.returncode == 0, done.stderr
    assert target == "env" or ".venv/bin/" in done.stdout


def test_the_version_is_in_the_changelog() -> None:
    assert f"## {PROJECT['project']['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_continuous_integration_runs_what_a_person_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "make lint" in script
    assert "make test" in script
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert any(step.get("run") == ".ci/run" for job in workflow["jobs"].values() for step in job["steps"])


def test_what_is_committed_is_linted_as_make_does() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert lint is not None

    def program(command: str) -> str:
        """Without options and paths, which pre-commit adds."""
        return " ".join(word for word in command.strip("\t@").split() if not word.startswith("-") and word != ".")

    assert [program(hook["entry"]) for hook in hooks] == [program(line) for line in lint[1].splitlines()]


@pytest.mark.parametrize("file", ["ci.yml", "gate.yml"])
def test_workflows_hold_no_rights_and_run_no_text_from_outside(file: str) -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / file).read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert not any("${{" in step.get("run", "") for step in steps), "an input in a command's text is a command"
    assert not any("secrets" in str(step) for step in steps)
    assert workflow["permissions"] == {"contents": "read"}
    for step in steps:
        assert re.search(r"@[0-9a-f]{40}$", step.get("uses", "@" + "0" * 40)), "an action is pinned by its commit"


def test_foreign_code_is_drawn_in_one_job_and_judged_in_another() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "gate.yml").read_text())["jobs"]
    commands = {name: "\n".join(step.get("run", "") for step in job["steps"]) for name, job in jobs.items()}
    assert "-m baselines" in commands["draw"]
    assert "-m leaderboard check" in commands["judge"]
    assert "baselines" not in commands["judge"]
    assert "MODEL" not in str(jobs["judge"]["steps"])
    assert not any("cache" in step.get("with", {}) for job in jobs.values() for step in job["steps"])
    (checkout,) = [step for step in jobs["judge"]["steps"] if "checkout" in step.get("uses", "")]
    assert checkout["with"]["ref"].startswith("${{ github.event.pull_request.base.sha")


def test_no_test_depends_on_how_fast_a_machine_is() -> None:
    """A time limit is one; what hangs is told by `faulthandler_timeout`."""
    limit = re.compile(r"\btimeout=[\d.]+|\bdeadline\b.*\bt" + r"ime\.")
    found = [
        path.name for path in (ROOT / "tests").rglob("test_*.py") if limit.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []
    assert PROJECT["tool"]["pytest"]["ini_options"]["faulthandler_timeout"] >= 600


def test_the_citation_is_of_this_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = PROJECT["project"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in project["authors"]]
    assert citation["title"] == f"Drawoff: {project['description'].split(':')[0].lower()}"
    for key in ("version", "license", "keywords"):
        assert str(citation[key]) == str(project[key])
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what the format requires
