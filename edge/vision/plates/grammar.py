"""What a plate may carry, place by place, and what a reading means under it.

A reader gives for each place the characters it may be, with their probabilities. A grammar says which characters a
place may have at all. Together they settle what no reader can see: whether a round thing is an `O`, a `0` or a `D` is
decided by where it stands. A reading that fits no grammar keeps its text and says so.

The sums: places are taken as independent, so that a text's probability is the product over its places. A character
that looks like one that the reader saw has at least a share of that one's probability (`ALIKE`). A text outside every
grammar must be `1 / UNRULY` times more probable to be preferred to one inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from math import prod
from typing import NamedTuple

from contract.plates import PROVINCES

Place = Mapping[str, float]
"""Characters that a place may have, with their probabilities from 0 to 1."""
Form = tuple[frozenset[str], ...]
"""The characters that each place of a plate may have, for one length."""

ALIKE: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.05, ("0OD", "1I", "8B", "5S", "2Z")),
    (0.01, ("0Q", "OQ", "DQ", "6G", "1L", "IL", "7T", "VY", "UV", "MN", "CG", "KX")),
)
"""Characters taken for each other on small, dirty or slanted plates, and the share of one's probability that the other
is given at least."""
UNRULY = 0.002
"""Weight of a text that fits no grammar against one that does."""
OTHER_COLOUR = 0.5
"""Weight of a grammar whose plates have another colour than was seen: colours change under lamps and dirt."""
SHOWN = 5
"""Alternatives that a read carries at most."""


def _near() -> dict[str, dict[str, float]]:
    near: dict[str, dict[str, float]] = {}
    for share, groups in ALIKE:
        for one, other in (pair for group in groups for pair in permutations(group, 2)):
            near.setdefault(one, {})[other] = share
    return near


NEAR = _near()


@dataclass(frozen=True)
class Grammar:
    """The plates of one kind.

    `name` is what a read carries, such as `cn-new-energy`: region, then country or kind; `colours` are the backgrounds
    that such plates have (none: any).
    """

    name: str
    forms: tuple[Form, ...]
    colours: frozenset[str] = frozenset()

    def fits(self, text: str) -> bool:
        """Whether a plate of this kind may carry the text."""
        return any(len(form) == len(text) and all(map(frozenset.__contains__, form, text)) for form in self.forms)


@dataclass(frozen=True)
class Read:
    """What a plate says. `confidence` is the probability of the whole text, `grammar` the name of the one that it fits
    (empty: none), `alternatives` other texts with theirs, the likeliest first."""

    text: str
    confidence: float
    grammar: str
    alternatives: tuple[tuple[str, float], ...] = ()


def forms(spec: str, classes: Mapping[str, str]) -> tuple[Form, ...]:
    """All lengths of a pattern, as one form each.

    A pattern is a row of places, parted by spaces: the name of a class of `classes`, or characters in brackets, each
    with `{2}` or `{1,3}` behind it where it is repeated. Raises `ValueError` naming the part that is neither.
    """
    runs: list[list[Form]] = []
    for part in spec.split():
        found = re.fullmatch(
            r"(?:\[(?P<own>[^\]]+)\]|(?P<name>[a-z]+))(?:\{(?P<least>\d+)(?:,(?P<most>\d+))?\})?", part
        )
        if found is None or (found["name"] and found["name"] not in classes):
            raise ValueError(f"pattern '{spec}': '{part}' is neither [characters] nor one of {', '.join(classes)}")
        place = frozenset(found["own"] or classes[found["name"]])
        least = int(found["least"] or 1)
        runs.append([(place,) * times for times in range(least, int(found["most"] or least) + 1)])
    return tuple(dict.fromkeys(sum(chosen, ()) for chosen in product(*runs)))


def settle(readings: Sequence[Sequence[Place]], grammars: Sequence[Grammar], colour: str = "") -> Read | None:
    """One read from several readings of the same plate, each by another reader or of another look.

    `colour` is that of the plate's background, where it was seen: a grammar of plates of other colours counts half. A
    reading without any province speaks for what another one saw with a province before the same text, or with another
    character there, as far as that one is sure of it: not every reader can read provinces. A confidence is a text's
    share of all texts found, and no more than its share of the texts of its own form. None where no reading has a
    place.
    """
    found: dict[str, _Found] = {}
    blind: list[dict[str, _Found]] = []
    for reading in readings:
        own: dict[str, _Found] = {}
        for form, weight, name in _forms(reading, grammars, colour) if reading else ():
            places = [_allowed(place, form[n] if form else None) for n, place in enumerate(reading)]
            mass = prod(sum(place.values()) for place in places)
            for text, chance in _likeliest(places) if mass else ():
                if text not in own or weight * chance > own[text].chance:
                    own[text] = _Found(weight * chance, chance / mass, name, weight)
        for text, one in own.items():
            before = found.get(text)
            found[text] = one if before is None else before.joined(one)
        if not any(c in PROVINCES for place in reading for c in place):
            blind.append(own)
    for text, one in found.items():
        if text[:1] in PROVINCES:
            sure = max(reading[0].get(text[0], 0.0) for reading in readings if reading)
            more = sum(o.chance for own in blind for other, o in own.items() if text[1:] in (other, other[1:]))
            found[text] = one._replace(chance=one.chance + one.weight * sure * more)
    if not found:
        return None
    total = sum(one.chance for one in found.values())
    ranked = sorted(found.items(), key=lambda item: (-item[1].chance, item[0]))
    told = [(text, min(one.chance / total, one.share)) for text, one in ranked[: SHOWN + 1]]
    return Read(*told[0], ranked[0][1].grammar, tuple(told[1:]))


class _Found(NamedTuple):
    """What speaks for a text: the sum of its weighted probabilities, its share of the texts of its own form, the
    grammar that it fits, and that one's weight."""

    chance: float
    share: float
    grammar: str
    weight: float

    def joined(self, other: _Found) -> _Found:
        """Both readings speak for it."""
        share, weight = max(self.share, other.share), max(self.weight, other.weight)
        return _Found(self.chance + other.chance, share, self.grammar or other.grammar, weight)


def _forms(reading: Sequence[Place], grammars: Sequence[Grammar], colour: str) -> Iterator[tuple[Form, float, str]]:
    """The forms of the reading's length with their weight and grammar, at last the empty one, which allows all."""
    for grammar in grammars:
        fitting = not colour or not grammar.colours or colour in grammar.colours
        for form in grammar.forms:
            if len(form) == len(reading):
                yield form, 1.0 if fitting else OTHER_COLOUR, grammar.name
    yield (), UNRULY, ""


def _allowed(place: Place, allowed: frozenset[str] | None) -> dict[str, float]:
    """The probabilities of the characters that a place may have, look-alikes of what was read among them."""
    if allowed is None:
        return dict(place)
    chances: dict[str, float] = {}
    for one, chance in place.items():
        for other, share in ((one, 1.0), *NEAR.get(one, {}).items()):
            if other in allowed:
                chances[other] = max(chances.get(other, 0.0), share * chance)
    return chances


def _likeliest(places: Sequence[Mapping[str, float]]) -> Iterator[tuple[str, float]]:
    """The best text, and each that differs from it in one place by the second or third best character there."""
    ranked = [sorted(place.items(), key=lambda item: (-item[1], item[0])) for place in places]
    best = [place[0] for place in ranked]
    chance = prod(p for _, p in best)
    yield "".join(c for c, _ in best), chance
    for n, place in enumerate(ranked):
        for one, p in place[1:3]:
            changed = [c for c, _ in best]
            changed[n] = one
            yield "".join(changed), chance / best[n][1] * p
