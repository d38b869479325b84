"""Text with alternatives, and random choices that count their own surprise.

The world's text is written by hand with two marks: ``[a|b|c]`` stands for one of the
alternatives, each equally likely (they nest), and ``{slot}`` for a value put in later.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType

Slots = Mapping[str, str] | Callable[[str], str]
NO_SLOTS: Slots = MappingProxyType({})


class Dice:
    """Seeded random choices that add up how surprising they were.

    ``nats`` is the negative log-probability of everything drawn so far. Averaged over many
    draws it estimates the entropy of whatever the draws decide.

    Only ``Random.random`` is used, because its sequence is the same on every machine and
    Python version.
    """

    def __init__(self, seed: int | str):
        # Strings are seeded through SHA-512, so equal seeds mean equal draws everywhere.
        self._random = random.Random(f"alignlab:{seed}")
        self.nats = 0.0

    def index(self, n: int) -> int:
        """Draw a whole number in ``range(n)``, all equally likely."""
        self.nats += math.log(n)
        return int(self._random.random() * n)

    def choice(self, options: Sequence):
        """Draw one of ``options``."""
        return options[self.index(len(options))]

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        hit = self._random.random() < probability
        self.nats -= math.log(probability if hit else 1.0 - probability)
        return hit

    def weighted(self, weights: Mapping[str, float]) -> str:
        """Draw one key of ``weights`` in proportion to its weight."""
        total = math.fsum(weights.values())
        mark = self._random.random() * total
        drawn = next(reversed(weights))  # where rounding leaves the mark beyond the last
        for name, weight in weights.items():
            mark -= weight
            if mark < 0:
                drawn = name
                break
        self.nats -= math.log(weights[drawn] / total)
        return drawn

    def sample(self, options: Sequence, count: int) -> list:
        """Draw ``count`` different options in random order."""
        pool = list(options)
        return [pool.pop(self.index(len(pool))) for _ in range(count)]

    def some(self, options: Sequence, count: int) -> list:
        """Draw ``count`` different options, in the order in which they stand in ``options``."""
        places = sorted(self.sample(range(len(options)), count))
        self.nats -= math.lgamma(count + 1)  # nothing tells in which order they were drawn
        return [options[place] for place in places]

    def shuffled(self, options: Sequence) -> list:
        """Return all options in random order."""
        return self.sample(options, len(options))


@cache
def _parse(text: str) -> tuple:
    """Turn marked text into nested parts: strings, ``("slot", name)``, ``("alt", options)``."""
    parts, position = _parse_until(text, 0, "")
    if position != len(text):
        raise ValueError(f"unbalanced ']' at character {position} of {text!r}")
    return parts


def _parse_until(text: str, position: int, stops: str) -> tuple[tuple, int]:
    parts, start = [], position
    while position < len(text) and text[position] not in stops + "]":
        if text[position] not in "[{":
            position += 1
            continue
        parts.append(text[start:position])
        if text[position] == "{":
            end = text.find("}", position)
            if end < 0:
                raise ValueError(f"'{{' without '}}' in {text!r}")
            parts.append(("slot", text[position + 1 : end]))
            position = end + 1
        else:
            options, mark = [], "|"
            while mark == "|":
                option, position = _parse_until(text, position + 1, "|")
                if position >= len(text):
                    raise ValueError(f"'[' without ']' in {text!r}")
                options.append(option)
                mark = text[position]
            parts.append(("alt", tuple(options)))
            position += 1
        start = position
    parts.append(text[start:position])
    return tuple(part for part in parts if part != ""), position


def _lookup(slots: Slots, name: str) -> str:
    return slots(name) if callable(slots) else slots[name]


def expand(text: str, dice: Dice, slots: Slots = NO_SLOTS) -> str:
    """Draw one reading of marked text and fill its slots, from left to right."""
    out = []

    def walk(parts):
        for part in parts:
            if isinstance(part, str):
                out.append(part)
            elif part[0] == "slot":
                out.append(_lookup(slots, part[1]))
            else:
                walk(dice.choice(part[1]))

    walk(_parse(text))
    return "".join(out)


def readings(text: str, slots: Slots = NO_SLOTS) -> dict[str, float]:
    """Return every reading of marked text with its exact probability."""

    def walk(parts) -> dict[str, float]:
        table = {"": 1.0}
        for part in parts:
            if isinstance(part, str):
                nexts = {part: 1.0}
            elif part[0] == "slot":
                nexts = {_lookup(slots, part[1]): 1.0}
            else:
                nexts = {}
                for option in part[1]:
                    for string, p in walk(option).items():
                        nexts[string] = nexts.get(string, 0.0) + p / len(part[1])
            table = combine(table, nexts)
        return table

    return walk(_parse(text))


def combine(*tables: dict[str, float], join: str = "") -> dict[str, float]:
    """Return the distribution of independent draws from ``tables``, joined by ``join``."""
    result = tables[0]
    for table in tables[1:]:
        product: dict[str, float] = {}
        for left, p in result.items():
            for right, q in table.items():
                key = left + join + right
                product[key] = product.get(key, 0.0) + p * q
        result = product
    return result


def mixture(*weighted: tuple[float, dict[str, float]]) -> dict[str, float]:
    """Return the mixture of distributions with the given weights (which sum to 1)."""
    result: dict[str, float] = {}
    for weight, table in weighted:
        for text, p in table.items():
            result[text] = result.get(text, 0.0) + weight * p
    return result


def entropy(table: Mapping[str, float]) -> float:
    """Return the entropy of a distribution over texts, in nats."""
    return -math.fsum(p * math.log(p) for p in table.values() if p > 0.0)
