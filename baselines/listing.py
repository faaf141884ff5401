"""`--list`: the models, and what of each is on this machine."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from baselines import options as option
from baselines import pretrained, registry
from submission import Competition, commands
from submission.errors import CompetitionError
from submission.paths import data_home, repo_root


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
    elif not Path(weights).exists() and pretrained.cached(weights) is None:
        parts.append(f"weights {weights}")
    return parts


def show(competition: Competition) -> None:
    table = Table(title=f"Models, as they are on this machine for {competition.name}", box=None, title_justify="left")
    for column, style in (("MODEL", "bold"), ("here", ""), ("what it does", "")):
        table.add_column(column, style=style, overflow="fold", no_wrap=column == "MODEL")
    missing: list[str] = []
    for name, model in registry.MODELS.items():
        try:
            parts = missing_parts(name, competition)
            lacks = "\n".join(f"no {part.removeprefix(f'{repo_root()}/')}" for part in parts)
        except CompetitionError as error:
            parts, lacks = [], str(error)
        options = " ".join(map(option.flag, model.options))
        does = Text(model.description).append(f"\n{options}" if options else "", style="dim")
        table.add_row(name, Text(lacks, style="red") if lacks else Text("ready", style="green"), does)
        missing += parts
    table.add_row("FILE.py:Class", "", "your own: a class with generate(self, prompts, seeds)")
    Console().print(table)
    if how := _how_to_get(missing, competition):
        print("What is missing comes with:", *how, sep="\n  ")


def _how_to_get(missing: list[str], competition: Competition) -> list[str]:
    """The commands that bring what is missing, as far as there are any."""
    data = str(data_home() / competition.name)
    found = []
    for kind, _, rest in (part.rpartition(" ") for part in missing):
        if kind == "weights" and pretrained.is_hub_id(rest):
            found.append(pretrained.download(rest))
        elif kind == "package":
            found.append(commands.install([rest]))
        elif rest.startswith(data) and competition.data_help is None:
            found.append(commands.data(competition.name))
    return list(dict.fromkeys(found))
