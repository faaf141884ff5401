"""What the pages tell people to write works, as it stands there."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import baselines
import drawoff
from baselines import participant
from scorer import cheating
from submission import Competition, image_hashes, image_seed

ROOT = Path(__file__).resolve().parent.parent
PAGES = {path.name: path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]}
PAGES |= {name: (ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", "CARD.md", "SECURITY.md")}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
ROOMS = "submission|competitions|scorer|baselines|leaderboard|experiments|benchmarks"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


def of_all_pages(found: str, text: str = "") -> list[tuple[str, str]]:
    """(page, what `found` finds in it), each once; in its blocks of the language `text` only, where one is named."""
    texts = {page: "\n".join(blocks(page, text)) if text else content for page, content in PAGES.items()}
    return sorted({(page, match.strip()) for page, content in texts.items() for match in re.findall(found, content)})


def file_of(page: str) -> Path:
    return next(path for path in (ROOT / page, ROOT / "docs" / page) if path.is_file())


# --- The generator of docs/participants.md.


@pytest.fixture
def generator(tmp_path: Path) -> str:
    (code,) = blocks("participants.md", "python")
    (tmp_path / "my_model.py").write_text(code)
    return f"{tmp_path / 'my_model.py'}:MyModel"


def test_the_generator_draws(generator: str) -> None:
    competition = Competition.load("bestiary")
    model = baselines.load(generator, competition, "cpu")
    prompts = competition.prompts[:5]
    texts = [prompt.text for prompt in prompts]
    seeds = [image_seed(0, prompt.image_name) for prompt in prompts]
    images = model.generate(texts, seeds)
    assert (images.shape, images.dtype) == ((5, 64, 64, 3), np.uint8)
    assert (model.generate(texts[::-1], seeds[::-1])[::-1] == images).all()


def test_the_generator_repeats_nothing_and_sees_every_colour(generator: str) -> None:
    """What made it suspect: few different images; a colour before a comma was none."""
    competition = Competition.load("bestiary")
    model = baselines.load(generator, competition, "cpu")
    prompts = competition.prompts
    seeds = [image_seed(0, prompt.image_name) for prompt in prompts]
    images = model.generate([prompt.text for prompt in prompts], seeds)
    texts, names = zip(*[(prompt.text, prompt.image_name) for prompt in prompts], strict=True)
    queries = np.stack([image_hashes.query(image) for image in images])
    findings = cheating.find(queries, names, texts, training=competition.training_hashes())
    assert {name: finding.count for name, finding in findings.items()} == {
        "training_copies": 0, "repeats": 0, "flat": 0,
    }  # fmt: skip
    assert [check.passed for check in competition.rules.check(findings, {}) if check.rule == "max_repeats"] == [True]
    assert (model.generate(["A bat, blue, with horns."], [1]) == model.generate(["Blue bat."], [1])).all()
    assert (model.generate(["A bat."], [1]) != model.generate(["Blue bat."], [1])).any()


def test_a_constructor_gets_what_it_names(tmp_path: Path) -> None:
    (code,) = blocks("participants.md", "python")
    (line,) = re.findall(r"`(def __init__\(self, [^`]*:)`", PAGES["participants.md"])
    model = tmp_path / "my_model.py"
    model.write_text(f"{code}\n    {line}\n        self.got = device, weights\n")
    loaded = baselines.load(f"{model}:MyModel", Competition.load("bestiary"), "cpu", weights="elsewhere")
    assert loaded.got == ("cpu", "elsewhere")
    sentence = re.search(r"its `__init__` gets what it names of ([^.]*)\.", PAGES["participants.md"])
    assert sentence is not None
    assert set(re.findall(r"`(\w+)`", sentence[1])) <= set(participant.OFFERED)


# --- The competition of docs/hosts.md, and the programs of docs/researchers.md.


def test_the_competition_is_one(tmp_path: Path) -> None:
    (text,) = blocks("hosts.md", "toml")
    (tmp_path / "competition.toml").write_text(text)
    competition = Competition.load(tmp_path)
    assert competition.tier(competition.gate).thresholds == {"fid": 90.0, "clip_i": 0.75, "clip_t": 0.27}


def test_the_programs_run_one_after_the_other(tmp_path: Path) -> None:
    """Each in a process of its own, in one folder: what one draws the next one measures."""
    printed = []
    for number, code in enumerate(blocks("researchers.md", "python")):
        (tmp_path / f"{number}.py").write_text(code)
        command = [sys.executable, "-W", "error::DeprecationWarning:__main__", f"{number}.py"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{code}\n{done.stderr}"
        printed.append(done.stdout)
    drawn, written, measured, distance, board = printed
    assert drawn == "(2, 64, 64, 3) uint8\n"
    assert written == "False\n"
    assert re.match(r"FID [\d.]+, CLIP-T -?[\d.]+, measured by ", measured)
    assert 3.5 < float(distance) < 5
    assert re.search(r"\bmonster +1063 +[\d.]+ ", board)
    assert re.search(r" 1 +1 +2 +monster +[\d.]+$", board, re.MULTILINE)


# --- Commands, options, variables, links.


@pytest.mark.parametrize(("page", "line"), of_all_pages(rf"python -m ((?:{ROOMS})\b[^#`\n]*)"))
def test_a_command_has_the_options_that_are_given_to_it(
    page: str, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands behind the module: its help, or that of the subcommand that comes first, names each option."""
    room, *words = line.split()
    if not re.fullmatch(r"[\w.]+", room):  # "python -m …": all of them
        return
    spec = importlib.util.find_spec(room)
    assert spec is not None
    main = importlib.import_module(f"{room}.__main__" if spec.submodule_search_locations else room).main
    monkeypatch.setenv("COLUMNS", "400")  # no option is broken at the end of a line
    with pytest.raises(SystemExit):
        main(["--help"])
    known = capsys.readouterr().out
    if words and re.fullmatch(r"[a-z]+", words[0]) and words[0] in known:
        with pytest.raises(SystemExit):
            main([words[0], "--help"])
        known += capsys.readouterr().out
    ours = words[: words.index("--")] if "--" in words else words  # the rest is another command's
    assert [word for word in ours if word.startswith("--") and not re.search(rf"{word}\b", known)] == []


@pytest.mark.parametrize(("page", "word"), of_all_pages(r"`drawoff ([a-z-]+)"))
def test_the_one_command_has_the_word(page: str, word: str) -> None:
    assert word in drawoff.COMMANDS


@pytest.mark.parametrize("page", PAGES)
def test_a_command_can_be_pasted(page: str) -> None:
    """Without an environment's python on the way, `python -m` finds none of ours."""
    wanted = rf"(?:python|torchrun\b.*|accelerate launch\b.*) -m (?:{ROOMS})"
    assert re.findall(rf"^\$ .*(?<!\.venv/bin/)\b{wanted}.*$", PAGES[page], re.MULTILINE) == []


@pytest.mark.parametrize(("page", "line"), of_all_pages(r"make [a-z-]+[^#`\n]*", "console"))
def test_a_target_and_its_variables_are_in_the_makefile(page: str, line: str) -> None:
    assert re.search(rf"^{line.split()[1]}:", MAKEFILE, re.MULTILINE)
    for variable in re.findall(r"\b([A-Z_]+)=", line):
        assert re.search(rf"^{variable} +\?=|\({variable}\)", MAKEFILE, re.MULTILINE), variable


@pytest.mark.parametrize(("page", "target"), of_all_pages(r"`make ([a-z-]+)"))
def test_a_target_that_a_sentence_names_is_in_the_makefile(page: str, target: str) -> None:
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S), re.M
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "target"), of_all_pages(r"\]\(([^)\s]+)\)"))
def test_a_link_leads_somewhere(page: str, target: str) -> None:
    if re.match(r"https?://", target):
        return
    path, _, anchor = target.partition("#")
    file = (file_of(page).parent / path).resolve() if path else file_of(page)
    assert file.exists()
    assert not anchor or anchor in anchors(file)


@pytest.mark.parametrize(("page", "path"), of_all_pages(rf"`((?:{ROOMS}|docs|tests)/[\w./-]+)`"))
def test_a_file_that_is_named_is_there(page: str, path: str) -> None:
    made = ("submission/out/",)  # what a command writes
    assert path.startswith(made) or (ROOT / path).exists()


def test_the_first_page_is_short_and_leads_to_all_others() -> None:
    page = PAGES["README.md"]
    assert len(page.splitlines()) <= 150
    linked = set(re.findall(r"\]\(docs/(\w+\.md)\)", page))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")}
