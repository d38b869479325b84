"""Checks of chapter 1: how much a measured share says.

All arguments and values are plain numbers.
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
