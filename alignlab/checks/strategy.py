"""Check of chapter 7: which stage a request needs, by figures that were measured for it.

Shapes: n requests.
"""

import math
import operator
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import SEEDS, Case, verify

FIGURES = (
    "prompted", "retrieved", "reached", "label_agreement", "choice_agreement", "comparison_cost",
)  # fmt: skip


def choose_stage(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``choose_stage(*FIGURES, target, trusted) -> stages``, each figure ``(n,)``.

    Raises:
        CheckFailed: for a request not the stage that the exercise's rule leads to: 0 for neither,
            1 for SFT, 2 for preference tuning, 3 for both.
    """
    right = _rule()
    verify(
        "choose_stage", answer, right,
        [
            Case("five requests", _requests(
                [1.0, 0.25, 0.5, 0.25, 0.0], [1.0, 0.375, 0.5, 0.25, 0.25],
                [1.0, 1.0, 1.0, 0.5, 0.5], [1.0, 1.0, 0.625, 0.75, 1.0],
                [1.0, 1.0, 1.0, 1.0, 0.5], [2.0, 2.0, 0.25, 0.25, 0.25])),
            Case("six requests, each close to a limit", _requests(
                [0.875, 0.25, 0.25, 0.5, 0.5, 0.25], [0.5, 0.875, 0.25, 0.5, 0.5, 0.25],
                [1.0, 0.5, 0.875, 1.0, 1.0, 0.5], [1.0, 1.0, 0.5, 1.0, 1.0, 0.875],
                [1.0, 1.0, 0.75, 1.0, 0.75, 1.0], [0.5, 0.5, 0.5, 1.0, 1.5, 0.5])),
        ],
        _projects,
        mistakes={
            "the better of prompting and retrieval counts: retrieval alone may be enough":
                _rule(best=lambda prompted, retrieved: prompted),
            "one of prompting and retrieval has to reach the target, not both": _rule(best=min),
            "training where prompting or retrieval is enough already": _rule(least=math.inf),
            "half of all choices agree by chance: twice the share less 1 is compared":
                _rule(judged=lambda share: share),
            "the labels have to agree on the share that is trusted, not on the target":
                _rule(strict=True),
            "it does not matter which is cheaper: with a choice between the two, it does":
                _rule(cheaper=lambda cost: True),
            "the dearer of the two: comparisons are taken where they cost less":
                _rule(cheaper=lambda cost: cost > 1),
            "comparisons that cost as much as demonstrations are not cheaper":
                _rule(cheaper=lambda cost: cost <= 1),
            "comparisons that cannot help: the model hardly ever gives a good response that could "
            "be chosen": _rule(able=lambda reached, target: True),
            "demonstrations for what the model can do already: there the cheaper kind of data is "
            "enough": _rule(able=lambda reached, target: False),
            "both where SFT alone is enough: labels that agree that often leave nothing open":
                _rule(ceiling=math.inf),
            "SFT alone leaves open what its labels differ in: comparisons have to settle it":
                _rule(ceiling=-math.inf),
            "the codes: 1 is SFT and 2 is preference tuning": _rule(codes=(0, 2, 1, 3)),
            "at least: a figure equal to its limit is enough": _rule(reaches=operator.gt),
        },
        seeds=seeds,
    )  # fmt: skip


def _rule(
    best=max, judged=lambda share: 2 * share - 1, cheaper=lambda cost: cost < 1, able=None,
    least=None, ceiling=None, strict=False, codes=(0, 1, 2, 3), reaches=operator.ge,
) -> Callable:  # fmt: skip
    """Return the exercise's rule, or one with a part of it changed."""

    def stage(target, trusted, prompted, retrieved, reached, labels, choices, cost):
        demonstrations = reaches(labels, target if strict else trusted)
        comparisons = reaches(judged(choices), trusted)
        if reaches(best(prompted, retrieved), target if least is None else least):
            return 0
        if able(reached, target) if able else reaches(reached, target):
            if comparisons and (cheaper(cost) or not demonstrations):
                return 2
            return 1 if demonstrations else 0
        if not demonstrations:
            return 0
        alone = reaches(labels, target if ceiling is None else ceiling)
        return 1 if alone or not comparisons else 3

    def found(*arguments):
        *figures, target, trusted = arguments
        rows = zip(*(figure.tolist() for figure in figures))
        return torch.tensor([codes[stage(target, trusted, *row)] for row in rows])

    return found


def _requests(*figures: list[float]) -> dict:
    """Return the arguments of some requests; in eighths every limit is met exactly."""
    tensors = (torch.tensor(figure, dtype=torch.float64) for figure in figures)
    return {**dict(zip(FIGURES, tensors)), "target": 0.875, "trusted": 0.5}


def _projects(generator: torch.Generator) -> dict[str, dict]:
    drawn = torch.randint(0, 9, (6, 60), generator=generator) / 8
    drawn[1] = torch.maximum(drawn[0], drawn[1])
    drawn[2] = torch.maximum(drawn[2], drawn[1])
    drawn[4] = 0.5 + drawn[4] / 2
    drawn[5] = 2 * drawn[5] + 0.25
    order = torch.randperm(60, generator=generator)
    figures = _requests(*drawn.tolist())
    return {
        "sixty requests": figures,
        "the same in another order":
            {name: figures[name][order] for name in FIGURES} | {"target": 0.875, "trusted": 0.5},
        "less is wanted": {**figures, "target": 0.5, "trusted": 0.25},
        "a target that nothing reaches": {**figures, "target": 1.5},
        "labels of any kind are trusted": {**figures, "trusted": -1.0},
    }  # fmt: skip
