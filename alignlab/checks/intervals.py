"""Checks of chapters 1 and 3: how much a measured share, or a gap between two, says.

Arguments and values are plain numbers, but for the N cases of ``paired_gap``.
"""

import math
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import SEEDS, Case, verify


def wilson_interval(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``wilson_interval(right, asked, z) -> (low, high)``.

    Raises:
        CheckFailed: a bound differs from Wilson (1927), "Probable inference, the law of
            succession, and statistical inference".
    """

    def reference(right, asked, z):
        # The shares p that lie z of their own standard errors from the measured one are the roots
        # of (asked + z²) p² - (2 right + z²) p + right² / asked.
        a, b, c = asked + z * z, 2 * right + z * z, right * right / asked
        root = math.sqrt(max(b * b - 4 * a * c, 0.0))
        return (b - root) / (2 * a), (b + root) / (2 * a)

    def wald(right, asked, z, variance=lambda p: p * (1 - p)):
        p = right / asked
        half = z * math.sqrt(variance(p) / asked)
        return p - half, p + half

    def around(right, asked, z, centre=None, root=None):
        p, whole = right / asked, asked + z * z
        centre = (right + z * z / 2) / whole if centre is None else centre
        inside = asked * p * (1 - p) + z * z / 4 if root is None else root
        return centre - z * math.sqrt(inside) / whole, centre + z * math.sqrt(inside) / whole

    verify(
        "wilson_interval", answer, reference,
        [
            Case("3 of 4 answers right", {"right": 3, "asked": 4, "z": 2.0}),
            Case("no answer right", {"right": 0, "asked": 12, "z": 1.96}),
            Case("all answers right", {"right": 30, "asked": 30, "z": 1.96}),
        ],
        _shares,
        mistakes={
            "the plain interval p ± z √(p(1-p)/n), which has no width at 0 and at 1": wald,
            "p ± z √(p(1-p)): the standard error is divided by √n":
                lambda x, n, z: wald(x, n, z, lambda p: p * (1 - p) * n),
            "the interval lies around p: its centre is drawn towards one half":
                lambda x, n, z: around(x, n, z, centre=x / n),
            "z²/4 is missing under the root":
                lambda x, n, z: around(x, n, z, root=x * (n - x) / n),
            "z is not used: 1.96 stands in its place":
                lambda x, n, z: reference(x, n, 1.96),
            "the higher bound comes first":
                lambda x, n, z: reference(x, n, z)[::-1],
            "half of z: it is a number of standard errors on each side":
                lambda x, n, z: reference(x, n, z / 2),
            "percent, not shares":
                lambda x, n, z: tuple(100 * bound for bound in reference(x, n, z)),
        },
        seeds=seeds,
    )  # fmt: skip


def _shares(generator: torch.Generator) -> dict[str, dict]:
    asked = int(torch.randint(20, 90, (), generator=generator))
    right = int(torch.randint(1, asked // 3, (), generator=generator))
    return {
        "few right answers": {"right": right, "asked": asked, "z": 1.96},
        "the same with right and wrong exchanged": {
            "right": asked - right, "asked": asked, "z": 1.96
        },
        "seven times as many": {"right": 7 * right, "asked": 7 * asked, "z": 1.96},
        "another level of confidence": {"right": right, "asked": asked, "z": 2.576},
        "one question": {"right": 1, "asked": 1, "z": 1.645},
    }  # fmt: skip


def highest_harm_rate(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``highest_harm_rate(tested, confidence) -> rate`` after tests without a failure.

    Raises:
        CheckFailed: not the bound of Clopper and Pearson (1934), "The use of confidence or fiducial
            limits illustrated in the case of the binomial", for no failures.
    """

    def reference(tested, confidence):
        return -math.expm1(math.log1p(-confidence) / tested)

    def drawn(generator):
        tested = int(torch.randint(5, 400, (), generator=generator))
        return {
            "95% confidence": {"tested": tested, "confidence": 0.95},
            "99% confidence": {"tested": tested, "confidence": 0.99},
            "10,000 requests": {"tested": 10_000 + tested, "confidence": 0.9},
        }

    verify(
        "highest_harm_rate", answer, reference,
        [
            Case("one request, and as likely as not", {"tested": 1, "confidence": 0.5}),
            Case("two requests", {"tested": 2, "confidence": 0.75}),
        ],
        drawn,
        mistakes={
            "no failure was seen, and still the rate is not 0": lambda n, c: 0.0,
            "the rule of three, 3/n, which holds for many requests and 95% only":
                lambda n, c: 3 / n,
            "the wrong way round: the chance to see no failure is 1 - confidence":
                lambda n, c: 1 - c ** (1 / n),
            "the highest rate of success, not of failure": lambda n, c: (1 - c) ** (1 / n),
            "the chance of one failure is shared out: (1 - confidence)/n is far too low":
                lambda n, c: (1 - c) / n,
            "the power is n, not 1/n": lambda n, c: 1 - (1 - c) ** n,
            "an estimate, not a bound: 1/(n + 2)": lambda n, c: 1 / (n + 2),
            "both sides: with no failure the lower bound is 0 and needs no share of the risk":
                lambda n, c: 1 - ((1 - c) / 2) ** (1 / n),
        },
        seeds=seeds,
    )  # fmt: skip


def paired_gap(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``paired_gap(known, new) -> (gap, error)`` of the same N cases asked in two ways.

    Raises:
        CheckFailed: not the mean difference, or not its standard error over cases.
    """

    def reference(known, new):
        gaps = [a - b for a, b in zip(known.tolist(), new.tolist())]
        gap = sum(gaps) / len(gaps)
        squares = math.fsum((x - gap) ** 2 for x in gaps) / (len(gaps) - 1)
        return gap, math.sqrt(squares / len(gaps))

    def other(error):
        return lambda a, b: (reference(a, b)[0], error(a.double(), b.double()))

    verify(
        "paired_gap", answer, reference,
        [
            Case("four cases", {"known": torch.tensor([1, 1, 1, 0]),
                                "new": torch.tensor([1, 0, 1, 0])}),
            Case("no difference", {"known": torch.tensor([1, 0, 1]),
                                   "new": torch.tensor([1, 0, 1])}),
        ],
        _outcomes,
        mistakes={
            "as if the cases were not the same: what makes a case hard makes it hard both times":
                other(lambda a, b: ((a.var() + b.var()) / len(a)).sqrt()),
            "the spread of single cases: the mean of n varies less by the root of n":
                other(lambda a, b: (a - b).std()),
            "divided by n, not by its root": other(lambda a, b: (a - b).std() / len(a)),
            "the variance: take its root": other(lambda a, b: (a - b).var() / len(a)),
            "divided by n under the root, not by n - 1": other(
                lambda a, b: (a - b).std(correction=0) / math.sqrt(len(a))),
            "new minus known: the sign": lambda a, b: (-reference(a, b)[0], reference(a, b)[1]),
            "half the width of an interval, not one standard error":
                other(lambda a, b: 1.96 * (a - b).std() / math.sqrt(len(a))),
            "the differences without their sign: gains and losses must cancel":
                lambda a, b: ((a - b).abs().double().mean(), reference(a, b)[1]),
        },
        seeds=seeds,
    )  # fmt: skip


def _outcomes(generator: torch.Generator) -> dict[str, dict]:
    easy = torch.rand(53, generator=generator)
    known, new = (
        (torch.rand(53, generator=generator) < easy.clamp(max=most)).long() for most in (0.95, 0.6)
    )
    known[0], new[0], known[1], new[1], known[2], new[2] = 1, 0, 0, 1, 1, 0
    order = torch.randperm(53, generator=generator)
    return {
        "53 cases": {"known": known, "new": new},
        "the same in another order": {"known": known[order], "new": new[order]},
        "exchanged": {"known": new, "new": known},
        "seven times the same": {"known": known.repeat(7), "new": new.repeat(7)},
    }
