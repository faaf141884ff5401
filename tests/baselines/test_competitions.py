"""What the shipped competitions say about baselines is what the baselines take."""

from __future__ import annotations

import pytest

from baselines import options as option
from baselines import registry
from submission import Competition


@pytest.mark.parametrize("name", Competition.names())
def test_every_table_of_baselines_is_understood(name: str) -> None:
    competition = Competition.load(name)
    for model in competition.baselines:
        option.competition_defaults(model, registry.find(model).options, competition)


@pytest.mark.parametrize("name", ["coco2014", "maplestory"])
def test_real_competitions_draw_with_the_released_weights(name: str) -> None:
    recipe = registry.recipe("stable", Competition.load(name))
    assert recipe.options["weights"] == "CompVis/stable-diffusion-v1-4"
    assert recipe.options["guidance_scale"] == 7.5
