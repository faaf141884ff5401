"""What a monster is, and which monsters each split of the bestiary holds.

Every choice comes from `random.Random` seeded by a string, whose stream Python keeps stable; nothing depends on numpy's
generators, on set order or on the machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

BODIES = (
    "slime", "bear", "snake", "spider", "bird", "fish", "golem", "ghost", "crab",
    "snail", "stump", "cat", "beetle", "worm", "frog", "flame", "star", "dragon",
)  # fmt: skip
COLOURS = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "brown", "gray")
FEATURES = ("horns", "wings", "spikes", "giant eye", "skull face", "tentacles", "crown", "mushroom cap")
ITEMS = ("none", "trident", "axe", "sword", "staff", "shield", "torch")
SIZES = ("medium", "small", "large")

ACTION_TEXT = {
    "main": "",
    "attack": "The monster is attacking.",
    "die": "The monster is dying.",
    "hit": "The monster is being hit.",
    "move": "The monster is moving.",
    "stand": "The monster is standing still.",
    "jump": "The monster is jumping.",
    "skill": "The monster is using a skill.",
}
ACTIONS = tuple(ACTION_TEXT)
# One of a group at most: they sit on the same place.
EXCLUSIVE = (("horns", "crown", "mushroom cap"), ("giant eye", "skull face"))

# The real test set's action keys and how many of its 166 monsters have each (1063 entries in all).
TEST_ACTIONS = {
    "main": 166, "hit1": 164, "stand": 163, "die1": 159, "move": 148, "attack1": 120, "skill1": 32, "attack2": 31,
    "jump": 14, "skill2": 14, "attack3": 11, "skill3": 7, "attack4": 6, "attack5": 6, "attack6": 4, "skill4": 4,
    "hit": 3, "skill5": 3, "skill6": 3, "skill7": 2, "attack7": 1, "attack8": 1, "die": 1,
}  # fmt: skip
# How often a training monster has each; jumps and skills are so rare in the real set that a training set could not
# teach them.
TRAIN_ACTIONS = {
    "main": 0.4, "hit1": 0.27, "stand": 0.27, "die1": 0.27, "move": 0.27, "attack1": 0.24, "skill1": 0.22,
    "attack2": 0.05, "jump": 0.22, "skill2": 0.04, "attack3": 0.02, "hit": 0.01, "die": 0.01,
}  # fmt: skip


@dataclass(frozen=True)
class Monster:
    """One monster: what its captions name, plus a `seed` for its proportions."""

    body: str
    colours: tuple[str, ...]
    features: tuple[str, ...]
    item: str
    shade: str
    size: str
    seed: str

    @property
    def combination(self) -> tuple[object, ...]:
        """What must differ between a training monster and a test monster."""
        return self.body, self.colours, self.features, self.item


def action_of(key: str) -> str:
    """The action behind an action key: 'attack3' -> 'attack'."""
    return key.rstrip("0123456789")


def invent(rng: Random, seed: str) -> Monster:
    """A monster drawn at random; rare things are as likely as common ones."""
    body = rng.choice(BODIES)
    colours = tuple(rng.sample(COLOURS, 2 if rng.random() < 0.5 else 1))
    features: list[str] = []
    for _ in range(rng.choices((0, 1, 2), (2, 9, 9))[0]):
        taken = {f for group in EXCLUSIVE for f in group if set(group) & set(features)} | set(features)
        features.append(rng.choice([f for f in FEATURES if f not in taken]))
    item = rng.choice(ITEMS)
    # A dark orange is a brown and a dark yellow an olive: those two come plain or pale only.
    shades = ("plain", "plain", "pale") if colours[0] in ("orange", "yellow") else ("plain", "plain", "dark", "pale")
    size = rng.choices(SIZES, (3, 1, 1))[0]
    ordered = tuple(sorted(features, key=FEATURES.index))
    return Monster(body, colours, ordered, item, rng.choice(shades), size, seed)


def new_monsters(split: str, rng: Random, taken: set[tuple[object, ...]]) -> Iterator[Monster]:
    """Monsters of a split without end, none of whose combinations is in `taken`; theirs are added to it."""
    for number in itertools.count():
        while (monster := invent(rng, f"{split}/{number}")).combination in taken:
            pass
        taken.add(monster.combination)
        yield monster


def population(split: str, count: int, taken: set[tuple[object, ...]]) -> list[Monster]:
    """`count` `new_monsters` of a split."""
    return list(itertools.islice(new_monsters(split, Random(f"bestiary/{split}/monsters"), taken), count))


def exact_actions(split: str, count: int, numbers: dict[str, int]) -> list[list[str]]:
    """Action keys of each of `count` monsters: key k occurs numbers[k] times, attack2 only beside attack1."""
    rng = Random(f"bestiary/{split}/actions")
    richness = {stem: rng.sample(range(count), count) for stem in ACTIONS}
    keys: list[list[str]] = [[] for _ in range(count)]
    for key, number in numbers.items():
        numbered = key[-1].isdigit() and key[-1] != "1"
        order = richness[action_of(key)] if numbered or key.endswith("1") else rng.sample(range(count), count)
        for monster in order[:number]:
            keys[monster].append(key)
    return keys


def likely_actions(split: str, count: int, chances: dict[str, float]) -> list[list[str]]:
    """Action keys of each of `count` monsters, each key with its own chance."""
    rng = Random(f"bestiary/{split}/actions")
    return [[key for key, chance in chances.items() if rng.random() < chance] for _ in range(count)]


def frame_numbers(monster: Monster, key: str) -> list[int]:
    """The frame numbers that a training entry has; with gaps, as in the real set."""
    rng = Random(f"{monster.seed}/{key}/frames")
    count = rng.choices((1, 2, 3), (20, 3, 1))[0]
    return sorted(rng.sample(range(6), count))
