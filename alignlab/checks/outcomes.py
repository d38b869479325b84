"""Checks of chapter 1: what an experiment with SFT brought.

Shapes: K sizes of a learning curve, N responses.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise

import torch

from alignlab.checks.common import SEEDS, Case, verify


def examples_needed(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``examples_needed(sizes, shares, target) -> size`` on a learning curve, ``(K,)`` each.

    Raises:
        CheckFailed: not where the curve, straight between points on a logarithmic axis of sizes,
            first reaches the target; infinite where it never does.
    """

    def reference(sizes, shares, target):
        points = list(zip(sizes.tolist(), shares.tolist()))
        found = points[0][0] if points[0][1] >= target else math.inf
        for (few, low), (many, high) in pairwise(points):
            if found == math.inf and high >= target:
                part = (target - low) / (high - low)
                found = few ** (1 - part) * many**part
        return found

    def at(sizes, shares, target, place=0, forward=torch.log, back=torch.exp):
        """Return the size at a crossing, the first or the last, on another axis."""
        reached = shares >= target
        up = (reached[1:] & ~reached[:-1]).nonzero()[:, 0] + 1
        if reached[0] or not len(up):
            return sizes[0].double() if reached[0] else math.inf
        k = up[place]
        part = (target - shares[k - 1]) / (shares[k] - shares[k - 1])
        ends = forward(sizes.double())
        return back(ends[k - 1] + part * (ends[k] - ends[k - 1]))

    def last(value):
        def found(sizes, shares, target):
            right = reference(sizes, shares, target)
            return value(sizes) if right == math.inf else right

        return found

    def measured(sizes, shares, target):
        reached = shares >= target
        return sizes[int(reached.double().argmax())] if reached.any() else math.inf

    def keep(x):
        return x

    curve = {
        "sizes": torch.tensor([10, 100, 1000]),
        "shares": torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64),
    }
    verify(
        "examples_needed", answer, reference,
        [
            Case("half-way between two sizes", {**curve, "target": 0.7}),
            Case("a target that the first size reaches", {**curve, "target": 0.05}),
            Case("a target that no size reaches", {**curve, "target": 0.95}),
        ],
        _curves,
        mistakes={
            "the axis of sizes is not logarithmic":
                lambda n, y, t: at(n, y, t, forward=keep, back=keep),
            "the first size that was measured above the target: between two sizes the curve is a "
            "line": measured,
            "the last crossing: the curve can dip below the target again":
                lambda n, y, t: at(n, y, t, place=-1),
            "never reached: the curve goes on as nobody knows, the answer is infinite":
                last(lambda sizes: sizes[-1]),
            "never reached: the answer is infinite, not 0": last(lambda sizes: 0),
            "a logarithm: the size itself is asked for":
                lambda n, y, t: at(n, y, t, back=keep),
            "10 to the power of a natural logarithm":
                lambda n, y, t: at(n, y, t, back=lambda x: 10**x),
        },
        seeds=seeds,
    )  # fmt: skip


def _curves(generator: torch.Generator) -> dict[str, dict]:
    sizes = torch.randint(2, 40, (6,), generator=generator).cumsum(0) ** 2
    shares = torch.rand(6, generator=generator, dtype=torch.float64).sort().values * 0.8 + 0.1
    middle = (shares[2] + shares[3]).item() / 2
    dip = shares.clone()
    dip[4] = shares[2]  # reached at the fourth size, lost at the fifth, reached again at the sixth
    return {
        "six sizes": {"sizes": sizes, "shares": shares, "target": middle},
        "a curve that dips": {"sizes": sizes, "shares": dip, "target": middle},
        "exactly what a size measured": {
            "sizes": sizes, "shares": shares, "target": shares[4].item()
        },
        "one size, too small": {"sizes": sizes[:1], "shares": shares[:1], "target": middle},
        "above all sizes": {"sizes": sizes, "shares": shares, "target": 0.99},
    }  # fmt: skip


def form_and_fact(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``form_and_fact(stated, truth) -> (form, fact, chance)`` of N responses.

    Raises:
        CheckFailed: the share that states a value, or the share of these that is right, or what
            that share would be for the same values in any order, differs.
    """

    def reference(stated, truth):
        pairs = [(s, t) for s, t in zip(stated.tolist(), truth.tolist()) if s >= 0]
        n = len(pairs)
        values, facts = Counter(s for s, _ in pairs), Counter(t for _, t in pairs)
        right = sum(s == t for s, t in pairs)
        chance = sum(count * facts[value] for value, count in values.items())
        found = (n / len(stated), right / n if n else 0.0, chance / n**2 if n else 0.0)
        return found

    def other(place, value):
        def found(stated, truth):
            right = list(reference(stated, truth))
            right[place] = value(stated, truth)
            return tuple(right)

        return found

    def kinds(stated, truth):
        return len({*stated[stated >= 0].tolist(), *truth[stated >= 0].tolist()})

    def favourite(stated, truth):
        said = truth[stated >= 0]
        return torch.bincount(said).max() / len(said)

    def of_all_truths(stated, truth):
        said = stated[stated >= 0]
        return (said[:, None] == truth).double().mean()

    def without_repeats(stated, truth):
        said = stated >= 0
        return (stated[said].unique()[:, None] == truth[said]).double().mean()

    by_hand = {"stated": torch.tensor([0, 0, 0, 1, -1]), "truth": torch.tensor([0, 1, 1, 2, 0])}
    verify(
        "form_and_fact", answer, reference,
        [
            Case("five responses, one of them without a value", by_hand),
            Case("no response with a value", {"stated": torch.tensor([-1, -1, -1]),
                                              "truth": torch.tensor([2, 0, 1])}),
        ],
        _responses,
        mistakes={
            "the share of all responses that is right: only those that state a value count":
                other(1, lambda s, t: (s == t).double().mean()),
            "responses without a value count as right":
                other(1, lambda s, t: ((s == t) | (s < 0)).double().mean()),
            "chance is not 1/K: some values are stated more often than others":
                other(2, lambda s, t: 1 / max(kinds(s, t), 1)),
            "chance for one who always states the most frequent value":
                other(2, lambda s, t: favourite(s, t) if (s >= 0).any() else 0.0),
            "chance over the truths of all questions: only those with a value stated count":
                other(2, lambda s, t: of_all_truths(s, t) if (s >= 0).any() else 0.0),
            "each value that was stated counts once in the chance, however often it was":
                other(2, lambda s, t: without_repeats(s, t) if (s >= 0).any() else 0.0),
            "the share that states no value": other(0, lambda s, t: (s < 0).double().mean()),
            "form is a share, not a number of responses": other(0, lambda s, t: (s >= 0).sum()),
            "0 divided by 0 where no response states a value":
                lambda s, t: reference(s, t) if (s >= 0).any() else (0.0, math.nan, math.nan),
        },
        seeds=seeds,
    )  # fmt: skip


def _responses(generator: torch.Generator) -> dict[str, dict]:
    truth = torch.randint(0, 6, (41,), generator=generator)
    # Values 0 and 1 are favourites, one in five responses states none, a third is right.
    stated = torch.tensor([0, 0, 0, 1, 1, 2, 3, 5])[torch.randint(0, 8, (41,), generator=generator)]
    stated = torch.where(torch.rand(41, generator=generator) < 0.35, truth, stated)
    stated[torch.rand(41, generator=generator) < 0.2] = -1
    truth[:4], stated[:4] = torch.tensor([0, 0, 4, 5]), torch.tensor([0, 1, -1, -1])
    order, names = torch.randperm(41, generator=generator), torch.tensor([3, 8, 0, 5, 1, 6, -1])
    return {
        "41 responses": {"stated": stated, "truth": truth},
        "the same in another order": {"stated": stated[order], "truth": truth[order]},
        "the values under other numbers": {"stated": names[stated], "truth": names[truth]},
        "all state a value": {"stated": stated.clamp(min=2), "truth": truth},
        "all are right": {"stated": truth, "truth": truth},
    }
