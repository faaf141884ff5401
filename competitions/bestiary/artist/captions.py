"""How a monster is described in words: the voice of the real captions, with paraphrases."""

from __future__ import annotations

from random import Random

from competitions.bestiary.artist.world import BODIES, Monster

# A body is called by its name, some also otherwise.
BODY_WORDS = {body: (body,) for body in BODIES} | {
    "slime": ("slime", "jelly slime"),
    "snake": ("snake", "serpent"),
    "golem": ("golem", "blocky golem"),
    "ghost": ("ghost", "phantom"),
    "stump": ("tree stump", "stump"),
    "worm": ("worm", "caterpillar"),
    "frog": ("frog", "toad"),
    "flame": ("flame", "fire"),
    "star": ("star", "star-shaped"),
}
FEATURE_WORDS = {
    "horns": ("horns", "two horns", "curved horns"),
    "wings": ("wings", "bat wings", "spread wings"),
    "spikes": ("spikes", "a spiky back", "sharp spikes"),
    "giant eye": ("one giant eye", "a single huge eye", "one big eye"),
    "skull face": ("a skull face", "a skull mask", "a bony skull face"),
    "tentacles": ("tentacles", "wriggling tentacles", "long tentacles"),
    "crown": ("a crown", "a golden crown"),
    "mushroom cap": ("a mushroom cap", "a red mushroom cap", "a mushroom cap on its head"),
}
ITEM_WORDS = {
    "trident": ("trident",),
    "axe": ("axe", "battle axe"),
    "sword": ("sword", "sharp sword"),
    "staff": ("staff", "magic staff"),
    "shield": ("shield", "round shield"),
    "torch": ("torch", "burning torch"),
}
CREATURE = ("monster", "monster", "monster", "creature", "beast")
HOLDING = ("holding", "carrying", "wielding")


def _listed(words: list[str]) -> str:
    if len(words) < 3:
        return " and ".join(words)
    return ", ".join(words[:-1]) + ", and " + words[-1]


def _article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def describe(monster: Monster, rng: Random) -> str:
    """One sentence that names everything visible: 'Gray bird monster with wings, horns, and trident.'"""
    colour = " and ".join(monster.colours)
    if monster.shade != "plain" and rng.random() < 0.7:
        colour = f"{monster.shade} {colour}"
    if monster.size != "medium" and rng.random() < 0.6:
        colour = f"{monster.size} {colour}"
    subject = f"{rng.choice(BODY_WORDS[monster.body])} {rng.choice(CREATURE)}"
    worn = [rng.choice(FEATURE_WORDS[f]) for f in monster.features]
    rng.shuffle(worn)
    held = "" if monster.item == "none" else rng.choice(ITEM_WORDS[monster.item])
    voice = rng.random()
    if voice < 0.6:  # the real captions' own voice: everything in one list
        things = worn + ([held] if held else [])
        sentence = f"{colour} {subject}" + (f" with {_listed(things)}" if things else "")
    elif voice < 0.8:
        sentence = f"{_article(colour)} {subject}" + (f" with {_listed(worn)}" if worn else "")
        sentence += f", {rng.choice(HOLDING)} {_article(held)}" if held else ""
    else:
        sentence = f"{subject} in {colour}"
        sentence += f" {rng.choice(HOLDING)} {_article(held)}" if held else ""
        sentence += f", with {_listed(worn)}" if worn else ""
    return sentence[0].upper() + sentence[1:] + "."
