"""Checks of chapters 1 and 3: what people's labels say of a task, and of each other.

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


def label_noise(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``label_noise(first, second, kinds) -> rate`` from labels given twice, ``(N,)`` each.

    Raises:
        CheckFailed: not the rate of wrong labels that gives the disagreement found, where each
            label is wrong on its own with that rate and wrong ones are spread evenly.
    """

    def differ(first, second):
        return (first != second).double().mean().item()

    def reference(first, second, kinds):
        # Two labels agree when both are right, or both wrong in the same one of kinds - 1 ways:
        # 1 - d = (1 - f)² + f² / (kinds - 1). Bisect below the rate of a blind guess.
        low, high, d = 0.0, (kinds - 1) / kinds, differ(first, second)
        if d >= high:
            return high
        for _ in range(60):
            f = (low + high) / 2
            low, high = (f, high) if 2 * f - f * f * kinds / (kinds - 1) < d else (low, f)
        return low

    def solved(d, spread, sign=-1):
        return (1 + sign * math.sqrt(max(1 - d * spread, 0.0))) / spread

    verify(
        "label_noise", answer, reference,
        [
            Case("5 of 12 pairs differ, four kinds of label",
                 {"first": torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]),
                  "second": torch.tensor([0, 1, 2, 3, 0, 1, 2, 0, 1, 2, 3, 0]), "kinds": 4}),
            Case("all pairs differ", {"first": torch.tensor([0, 1, 2]),
                                      "second": torch.tensor([1, 2, 0]), "kinds": 4}),
        ],
        _twice,
        mistakes={
            "this is how often two labels differ: either of them can be the wrong one":
                lambda a, b, k: differ(a, b),
            "half of the disagreement: sometimes both labels are wrong":
                lambda a, b, k: differ(a, b) / 2,
            "two wrong labels can agree": lambda a, b, k: solved(differ(a, b), 1.0),
            "two wrong labels do not always agree: there are several wrong ones":
                lambda a, b, k: solved(differ(a, b), 2.0),
            "the other root, above the rate of a blind guess":
                lambda a, b, k: solved(differ(a, b), k / (k - 1), 1),
            "the share of labels that are right": lambda a, b, k: 1 - reference(a, b, k),
            "the spread is K/(K-1), not (K-1)/K":
                lambda a, b, k: solved(differ(a, b), (k - 1) / k),
        },
        seeds=seeds,
    )  # fmt: skip


def _twice(generator: torch.Generator) -> dict[str, dict]:
    truth = torch.randint(0, 5, (83,), generator=generator)

    def labels():
        wrong = torch.rand(83, generator=generator) < 0.2
        return torch.where(wrong, torch.randint(0, 5, (83,), generator=generator), truth)

    first, second = labels(), labels()
    second[:3] = (first[:3] + 1) % 5
    order, names = torch.randperm(83, generator=generator), torch.tensor([4, 9, 0, 7, 2])
    return {
        "five kinds": {"first": first, "second": second, "kinds": 5},
        "the same in another order": {"first": first[order], "second": second[order], "kinds": 5},
        "the labels under other numbers": {"first": names[first], "second": names[second],
                                           "kinds": 5},
        "the labels exchanged": {"first": second, "second": first, "kinds": 5},
        "no pair differs": {"first": first, "second": first, "kinds": 5},
        "of twelve kinds": {"first": first, "second": second, "kinds": 12},
    }  # fmt: skip
