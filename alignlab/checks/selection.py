"""Check of chapter 4: what the response that a stand-in for the reward likes best is worth.

Shapes: N responses to one prompt.
"""

import math
from collections.abc import Callable, Iterable
from itertools import combinations

import torch

from alignlab.checks.common import SEEDS, Case, verify

FEW = 500  # so many draws can be listed


def best_of_n(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``best_of_n(proxy, true, n) -> (proxy, true)``, two numbers from ``(N,)`` each.

    Raises:
        CheckFailed: not the mean rewards, over all ways to draw n of N responses, of the one that
            the proxy likes best; the draws are listed where they are few.
    """

    def reference(proxy, true, n):
        scored = sorted(zip(proxy.tolist(), true.tolist()))
        if math.comb(len(scored), n) <= FEW:
            picked = [max(draw) for draw in combinations(scored, n)]
            return tuple(math.fsum(column) / len(picked) for column in zip(*picked))
        # From the best down: the chance that this one is drawn and none of those above it.
        sums, chance = [[], []], n / len(scored)
        for below in range(len(scored) - 1, -1, -1):
            for column, value in zip(sums, scored[below]):
                column.append(chance * value)
            chance *= (below - n + 1) / below if below else 0.0
        return tuple(map(math.fsum, sums))

    def weighed(weight, by=0):
        """Return the mistake of another chance for the response of place k, from the worst."""

        def found(*arguments):
            *scores, n = arguments
            order, size = scores[by].argsort(), len(scores[0])
            chances = torch.tensor([weight(k, size, n) for k in range(1, size + 1)],
                                   dtype=torch.float64)  # fmt: skip
            return tuple((chances * score[order]).sum() for score in scores)

        return found

    def chance(k, size, n):
        return math.comb(k - 1, n - 1) / math.comb(size, n)

    def floats(k, size, n):
        above, drawn = (_comb(float(a), float(b)) for a, b in ((k - 1, n - 1), (size, n)))
        return above / drawn

    by_hand = {
        "proxy": torch.tensor([2.0, 3.0, 1.0, 4.0], dtype=torch.float64),
        "true": torch.tensor([2.0, 5.0, 3.0, 0.0], dtype=torch.float64),
        "n": 2,
    }
    verify(
        "best_of_n", answer, reference, [Case("two of four responses", by_hand)], _scored,
        mistakes={
            "drawn with replacement: no response is drawn twice":
                weighed(lambda k, size, n: (k**n - (k - 1) ** n) / size**n),
            "the best by its true reward: nobody knows that, the proxy picks":
                weighed(chance, by=1),
            "two best ones: both numbers are about the response that the proxy likes best":
                lambda p, t, n: (reference(p, t, n)[0], reference(t, t, n)[0]),
            "the worst of those drawn": lambda p, t, n: (
                -reference(-p, t, n)[0], reference(-p, t, n)[1]),
            "the best of all: it is not always among those drawn":
                lambda p, t, n: (p.max(), t[p.argmax()]),
            "the mean of all: n changes nothing": lambda p, t, n: (p.mean(), t.mean()),
            "one draw, the first n responses: the mean over all draws is wanted":
                lambda p, t, n: (p[:n].max(), t[p[:n].argmax()]),
            "the true rewards have to follow the order of the proxy rewards":
                lambda p, t, n: weighed(chance)(p, t[p.argsort().argsort()], n),
            "the chance that all n stand at this place or below: one of them has to be this one":
                weighed(lambda k, size, n: math.comb(k, n) / math.comb(size, n)),
            "the picked response is one of the n: n - 1 others come from below it":
                weighed(lambda k, size, n: math.comb(k - 1, n) / math.comb(size, n)),
            "numbers too large for a float: divide the whole numbers by each other":
                weighed(floats),
        },
        seeds=seeds,
    )  # fmt: skip


def _comb(size: float, n: float) -> torch.Tensor:
    """Return a binomial coefficient, or infinity where it is too large for a float."""
    if n > size:
        return torch.tensor(0.0, dtype=torch.float64)
    logs = torch.tensor([size + 1, n + 1, size - n + 1], dtype=torch.float64).lgamma()
    return (logs[0] - logs[1] - logs[2]).exp()


def _scored(generator: torch.Generator) -> dict[str, dict]:
    true = torch.randn(9, generator=generator, dtype=torch.float64)
    proxy = true + torch.randn(9, generator=generator, dtype=torch.float64)
    order = torch.randperm(9, generator=generator)
    many = torch.randn(2, 1500, generator=generator, dtype=torch.float64)
    drawn = {"proxy": proxy, "true": true, "n": 3}
    return {
        "three of nine responses": drawn,
        "the same in another order": {"proxy": proxy[order], "true": true[order], "n": 3},
        "the proxy raised by 20 and stretched": {**drawn, "proxy": 20 + 6 * proxy},
        "a proxy that likes what is bad": {**drawn, "proxy": -true, "n": 4},
        "one of nine": {**drawn, "n": 1},
        "all nine": {**drawn, "n": 9},
        "700 of 1,500": {"proxy": many.sum(0), "true": many[0], "n": 700},
    }
