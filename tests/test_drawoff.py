"""The one command: its words, what each imports, and what it lets a shell complete."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

import drawoff
from submission.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent


def test_the_completion_knows_every_command_and_its_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_help = ArgumentParser.print_help
    assert drawoff.main(["completion", "bash"]) == 0
    assert ArgumentParser.print_help is print_help
    script = tmp_path / "drawoff.bash"
    script.write_text(capsys.readouterr().out)

    def complete(*words: str) -> set[str]:
        """What bash offers for the last of the words."""
        line = " ".join(words)
        code = f'source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; COMP_LINE="{line}"; '
        code += f'{function} "drawoff" "{words[-1]}"; printf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return {word.strip() for word in done.stdout.split()}

    function = "_shtab_drawoff"
    assert complete("drawoff", "s") == {"score", "sheet", "statistics", "sweep"}
    assert complete("drawoff", "draw", "--gui") == {"--guidance-form", "--guidance-scale", "--guide"}
    assert "--inception-weights" in complete("drawoff", "score", "--in")
    assert complete("drawoff", "train", "mon") == {"monster"}


def test_only_a_shell_that_there_is_can_complete() -> None:
    with pytest.raises(UsageError, match="bash"):
        drawoff.main(["completion", "cmd.exe"])


@pytest.mark.parametrize(("word", "room"), [("validate", "submission"), ("board", "leaderboard")])
def test_a_command_imports_its_own_room(word: str, room: str) -> None:
    code = f"""
import sys, drawoff
try:
    drawoff.main([{word!r}, "--help"])
except SystemExit:
    pass
imported = {{name.split(".")[0] for name in sys.modules}}
print(sorted(imported & {{"submission", "scorer", "baselines", "leaderboard", "torch"}}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(sorted({"submission", room}))
