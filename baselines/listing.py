"""`--list`: the models, and what of each is on this machine."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from baselines import options as option
from baselines import registry
from submission import Competition
from submission.errors import CompetitionError


def missing_parts(name: str, competition: Competition) -> list[str]:
    """What `name` lacks on this machine to draw for `competition`, one line each; nothing is imported or loaded.

    Raises:
        CompetitionError: the competition's `[baselines.<name>]` is wrong.
    """
    model = registry.MODELS[name]
    parts = [f"package {package}" for package in registry.missing_packages(model)]
    weights = option.competition_defaults(name, model.options, competition).get("weights")
    if weights is None:
        parts += [str(path) for path, there in registry.files(model, competition) if there is None]
    elif not registry.Path(weights).exists():
        parts.append(f"weights {weights}")
    return parts


def show(competition: Competition) -> None:
    """Print the table on stdout."""
    table = Table(title=f"Models, as they are on this machine for {competition.name}", box=None, title_justify="left")
    for column, style in (("MODEL", "bold"), ("what it does", ""), ("options", "dim"), ("here", "")):
        table.add_column(column, style=style, overflow="fold")
    for name, model in registry.MODELS.items():
        try:
            parts = missing_parts(name, competition)
        except CompetitionError as error:
            parts = [str(error)]
        here = "[red]missing:[/] " + ", ".join(_short(part) for part in parts) if parts else "[green]ready[/]"
        table.add_row(name, model.description, " ".join(map(option.flag, model.options)), here)
    table.add_row("FILE.py:Class", "your own: a class with generate(self, prompts, seeds)", "", "")
    Console().print(table)


def _short(part: str) -> str:
    root = f"{registry.repo_root()}/"
    return part.removeprefix(root)
