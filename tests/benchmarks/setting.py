"""How much is measured, what one timed run did, and runs of several sides in turn."""

import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tqdm.auto import tqdm

Side, Done = TypeVar("Side"), TypeVar("Done")


@dataclass(frozen=True)
class Sizes:
    """How much each measure does. Lengths are in tokens."""

    sft_examples: int = 256
    dpo_pairs: int = 256
    prompts: int = 24
    max_new_tokens: int = 128
    scaling_examples: tuple[int, ...] = (64, 128, 256)
    scaling_lengths: tuple[int, ...] = (128, 256, 512)
    length_examples: int = 48  # of each length
    repetitions: int = 3


@dataclass(frozen=True)
class Work:
    """What one timed run did: its time, and how many examples and tokens went through it."""

    seconds: float
    examples: int
    tokens: int


@dataclass(frozen=True)
class Row:
    """One line of the table: two medians, and the goal for their ratio if it has one.

    Attributes:
        ours, baseline: medians over the repetitions, in ``unit``.
        details: for the JSON: every repetition, what both sides did, how they were set.
    """

    measure: str
    unit: str
    ours: float
    baseline: float
    goal: float | None
    details: Mapping

    @property
    def ratio(self) -> float:
        """Return ours over baseline."""
        return self.ours / self.baseline

    @property
    def met(self) -> bool | None:
        """Say whether the ratio reaches the goal; None without a goal."""
        return None if self.goal is None else self.ratio >= self.goal


def rate_row(
    measure: str,
    unit: str,
    goal: float | None,
    ours: Sequence[Work],
    baseline: Sequence[Work],
    **details,
) -> Row:
    """Return the row of two sides by the examples that each did in a second."""
    rates, did = {}, {}
    for name, side in (("ours", ours), ("baseline", baseline)):
        rates[name] = [work.examples / work.seconds for work in side]
        did[name] = {
            "examples": [work.examples for work in side],
            "tokens": [work.tokens for work in side],
            "seconds": [work.seconds for work in side],
        }
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return Row(measure, unit, **medians, goal=goal, details=did | details)


def in_turn(
    title: str, sides: Mapping[Side, Callable[[], Done]], repetitions: int
) -> dict[Side, list[Done]]:
    """Run every side once, then every side again, so that a slow minute strikes all of them."""
    results: dict[Side, list[Done]] = {name: [] for name in sides}
    with tqdm(total=repetitions * len(sides), desc=title, unit="run") as bar:
        for _ in range(repetitions):
            for name, run in sides.items():
                bar.set_postfix_str(str(name))
                gc.collect()  # what the run before has left is not this one's burden
                results[name].append(run())
                bar.update()
    return results
