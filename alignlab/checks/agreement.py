"""Checks of chapter 1: how well a task is defined, read off people's labels.

Shapes: N inputs, M possible outputs to each.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import SEEDS, Case, verify


def cohens_kappa(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``cohens_kappa(first, second) -> kappa`` of two annotators' labels, ``(N,)``.

    Raises:
        CheckFailed: the value differs from Cohen (1960), "A coefficient of agreement for nominal
            scales".
    """

    def reference(first, second):
        pairs = list(zip(first.tolist(), second.tolist()))
        n, ones, others = len(pairs), Counter(first.tolist()), Counter(second.tolist())
        agreed = sum(a == b for a, b in pairs) / n
        chance = sum(count * others[label] for label, count in ones.items()) / n**2
        return (agreed - chance) / (1 - chance)

    def observed(first, second):
        return (first == second).double().mean()

    def expected(first, second):
        top = int(max(first.max(), second.max())) + 1
        ones, others = (torch.bincount(x, minlength=top) / len(x) for x in (first, second))
        return (ones.double() * others.double()).sum()

    def with_chance(chance):
        def value(first, second):
            e = chance(first, second)
            return (observed(first, second) - e) / (1 - e)

        return value

    def kinds(first, second):
        return len(torch.unique(torch.cat([first, second])))

    def pooled(first, second):
        both = torch.cat([first, second])
        return expected(both, both)

    by_hand = {"first": torch.tensor([0, 0, 0, 1]), "second": torch.tensor([0, 0, 1, 1])}
    verify(
        "cohens_kappa", answer, reference,
        [
            Case("four inputs, two labels", by_hand),
            Case("full agreement", {"first": torch.tensor([2, 0, 2]),
                                    "second": torch.tensor([2, 0, 2])}),
        ],
        _labels,
        mistakes={
            "the share of equal labels: what chance alone would give is not taken off": observed,
            "chance is not 1/K: annotators use some labels more often than others":
                with_chance(lambda a, b: 1 / kinds(a, b)),
            "one distribution for both annotators, which is another measure (Scott's pi)":
                with_chance(pooled),
            "not divided by 1 - chance": lambda a, b: observed(a, b) - expected(a, b),
            "divided by chance, not by 1 - chance":
                lambda a, b: (observed(a, b) - expected(a, b)) / expected(a, b),
            "the agreement that chance gives, nothing else": expected,
            "clipped at 0: annotators can agree less often than by chance":
                lambda a, b: with_chance(expected)(a, b).clamp(min=0),
        },
        seeds=seeds,
    )  # fmt: skip


def _labels(generator: torch.Generator) -> dict[str, dict]:
    first = torch.randint(0, 5, (37,), generator=generator)
    # The second annotator has favourite labels and never gives label 3.
    other = torch.tensor([0, 0, 0, 1, 2, 4])[torch.randint(0, 6, (37,), generator=generator)]
    second = torch.where(torch.rand(37, generator=generator) < 0.5, first.clamp(max=2), other)
    first[0], second[0], first[1], second[1] = 3, 0, 1, 1
    seldom = (first + 1) % 5
    seldom[:2] = first[:2]
    order, names = torch.randperm(37, generator=generator), torch.tensor([7, 2, 9, 0, 4])
    return {
        "five labels, one of them never given by the second": {"first": first, "second": second},
        "the same in another order": {"first": first[order], "second": second[order]},
        "the annotators exchanged": {"first": second, "second": first},
        "the labels under other numbers": {"first": names[first], "second": names[second]},
        "less agreement than by chance": {"first": first, "second": seldom},
    }


def exact_match_ceilings(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``exact_match_ceilings(probabilities) -> (best, sampled)`` for ``(N, M)`` labels.

    Raises:
        CheckFailed: one of the two shares of exact matches with a fresh label differs.
    """

    def reference(probabilities):
        rows = probabilities.tolist()
        best = math.fsum(max(row) for row in rows) / len(rows)
        sampled = math.fsum(p * p for row in rows for p in row) / len(rows)
        return best, sampled

    def of_mean(p):
        return p.mean(0, keepdim=True)

    verify(
        "exact_match_ceilings", answer, reference,
        [
            Case("one input with two outputs, 3/4 and 1/4",
                 {"probabilities": torch.tensor([[0.75, 0.25]], dtype=torch.float64)}),
            Case("four slogans, all as good",
                 {"probabilities": torch.full((1, 4), 0.25, dtype=torch.float64)}),
        ],
        _distributions,
        mistakes={
            "both are the best guess: a model that samples does not always give it":
                lambda p: (reference(p)[0],) * 2,
            "both are what sampling gives: the best guess is always the most likely output":
                lambda p: (reference(p)[1],) * 2,
            "the other way round": lambda p: reference(p)[::-1],
            "one distribution for all inputs: each input has its own":
                lambda p: reference(of_mean(p)),
            "summed over the inputs, not averaged": lambda p: tuple(
                len(p) * value for value in reference(p)),
            "1/M: the outputs are not equally likely": lambda p: (1 / p.shape[1],) * 2,
            "averaged before it is squared: each input's probabilities are squared first":
                lambda p: (reference(p)[0], p.mean(0).square().sum()),
            "the share of the highest in the sampled one: p times p, summed over all outputs":
                lambda p: (reference(p)[0], p.amax(-1).square().mean()),
            "1 minus the share: these are mismatches":
                lambda p: tuple(1 - value for value in reference(p)),
        },
        seeds=seeds,
    )  # fmt: skip


def _distributions(generator: torch.Generator) -> dict[str, dict]:
    logits = 2 * torch.randn(6, 4, generator=generator, dtype=torch.float64)
    drawn = logits.softmax(-1)
    rows, columns = (torch.randperm(n, generator=generator) for n in (6, 4))
    certain = torch.eye(4, dtype=torch.float64)[[0, 3, 1, 1]]
    return {
        "six inputs with four outputs": {"probabilities": drawn},
        "the same in another order": {"probabilities": drawn[rows][:, columns]},
        "an output that nobody gives": {
            "probabilities": torch.cat([drawn, torch.zeros(6, 1, dtype=torch.float64)], 1)
        },
        "one right output to each input": {"probabilities": certain},
        "in float32": {"probabilities": drawn.float()},
    }
