"""Checks of chapter 5: what a reward model can reach, and how it is trained.

Shapes: N pairs of responses, B pairs in a batch.
"""

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F

from alignlab.checks.common import SEEDS, Case, verify


def accuracy_ceiling(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``accuracy_ceiling(first, second, sharpness) -> accuracy``, one number.

    Raises:
        CheckFailed: not the mean probability that a Bradley–Terry annotator chooses the response of
            higher true reward, with 1/2 for equal ones.
    """

    def reference(first, second, sharpness):
        gaps = [abs(a - b) for a, b in zip(first.tolist(), second.tolist())]
        right = [1 / (1 + math.exp(-sharpness * gap)) if gap else 0.5 for gap in gaps]
        return math.fsum(right) / len(right)

    def chance(gap, sharpness, equal=0.5):
        return torch.where(gap == 0, equal, torch.sigmoid(sharpness * gap))

    def other(value):
        return lambda a, b, s: value((a - b).abs(), s)

    def twice(gap, sharpness):
        p = chance(gap, sharpness)
        return (p**2 + (1 - p) ** 2).mean()

    by_hand = {
        "first": torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64),
        "second": torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64),
    }
    verify(
        "accuracy_ceiling", answer, reference,
        [
            Case("rewards that differ by 2, by 1 and not at all", {**by_hand, "sharpness": 0.5}),
            Case("annotators who never err, on the same pairs", {**by_hand, "sharpness": math.inf}),
        ],
        _judged,
        mistakes={
            "the sharpness is not used": other(lambda gap, s: torch.sigmoid(gap).mean()),
            "divided by the sharpness, not multiplied":
                other(lambda gap, s: chance(gap, 1 / s if s else math.inf).mean()),
            "how often the first response is chosen: the best model names the better of the two":
                lambda a, b, s: chance(a - b, s).mean(),
            "the chance at the mean difference, not the mean of the chances":
                other(lambda gap, s: chance(gap.mean(), s)),
            "how often two annotators agree: the best model does not choose by chance, they do":
                other(twice),
            "the best model knows the rewards, not what a person will choose: "
            "it is not always right": other(lambda gap, s: chance(gap, math.inf).mean()),
            "infinity times 0 is not a number: equal rewards give 1/2":
                other(lambda gap, s: torch.sigmoid(s * gap).mean()),
            "whoever guesses between equals is right half of the time, not always":
                other(lambda gap, s: chance(gap, s, 1.0).mean()),
            "pairs of equal rewards count as well: they are among the choices to be foreseen":
                other(lambda gap, s: chance(gap, s)[gap > 0].mean()),
            "how often the best model is wrong, not right":
                other(lambda gap, s: 1 - chance(gap, s).mean()),
        },
        seeds=seeds,
    )  # fmt: skip


def _judged(generator: torch.Generator) -> dict[str, dict]:
    # Quarters, so that equal rewards are exactly so.
    first, second = (torch.randint(0, 20, (11,), generator=generator).double() / 4 for _ in "ab")
    second[:2] = first[:2]
    order = torch.randperm(11, generator=generator)
    pairs = {"first": first, "second": second, "sharpness": 0.7}
    return {
        "eleven pairs": pairs,
        "the same in another order": {**pairs, "first": first[order], "second": second[order]},
        "first and second changed over": {**pairs, "first": second, "second": first},
        "all rewards lowered by 8": {**pairs, "first": first - 8, "second": second - 8},
        "annotators who guess": {**pairs, "sharpness": 0.0},
        "sharp annotators": {**pairs, "sharpness": 6.0},
        "annotators who never err": {**pairs, "sharpness": math.inf},
        "rewards 10,000 apart": {**pairs, "first": 1e4 * first, "second": 1e4 * second},
    }


def reward_model_loss(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``reward_model_loss(chosen, rejected, centre) -> loss``, of B pairs of rewards.

    Raises:
        CheckFailed: the loss, or its gradient in the rewards, differs from the mean of
            -log σ(chosen - rejected) + centre (chosen + rejected)² (Eisenstein et al. 2023,
            "Helping or herding?").
    """

    def reference(chosen, rejected, centre):
        zero = torch.zeros((), dtype=torch.float64)
        losses = [
            torch.logaddexp(zero, r - c) + centre * (c + r) ** 2 for c, r in zip(chosen, rejected)
        ]
        return torch.stack(losses).mean()

    def first(value):
        return lambda c, r, k: (value(c, r) + k * (c + r) ** 2).mean()

    def second(value):
        return lambda c, r, k: F.softplus(r - c).mean() + k * value(c, r)

    def parts(c, r):
        return F.softplus(r - c).mean(), ((c + r) ** 2).mean()

    by_hand = {
        "chosen": torch.tensor([2.0, 1.0], dtype=torch.float64),
        "rejected": torch.tensor([1.0, -3.0], dtype=torch.float64),
        "centre": 0.1,
    }
    verify(
        "reward_model_loss", answer, reference,
        [
            Case("two pairs", by_hand),
            Case("the same with nothing to hold the level", {**by_hand, "centre": 0.0}),
        ],
        _scored,
        mistakes={
            "chosen and rejected are exchanged": first(lambda c, r: F.softplus(c - r)),
            "the sign: the loss is minus the log-probability of the choices":
                first(lambda c, r: -F.softplus(r - c)),
            "the probability of the choice: the logarithm is missing":
                first(lambda c, r: -torch.sigmoid(c - r)),
            "log(sigmoid): a probability too small for a number becomes 0, its logarithm infinite":
                first(lambda c, r: -torch.sigmoid(c - r).log()),
            "the square of the sum, not the sum of two squares":
                second(lambda c, r: (c**2 + r**2).mean()),
            "the sum is squared, not the difference: that one is to grow":
                second(lambda c, r: ((c - r) ** 2).mean()),
            "the sum of the two rewards is squared, not their mean":
                second(lambda c, r: ((c + r) ** 2).mean() / 4),
            "squared pair by pair, and the mean taken last":
                second(lambda c, r: (c + r).mean() ** 2),
            "not squared: rewards far below 0 would make the loss as low as you like":
                second(lambda c, r: (c + r).mean()),
            "the coefficient is missing": lambda c, r, k: sum(parts(c, r)),
            "the coefficient weighs the second part alone": lambda c, r, k: k * sum(parts(c, r)),
            "the second part is missing": lambda c, r, k: parts(c, r)[0],
            "the sum over the pairs: the mean is wanted":
                lambda c, r, k: len(c) * reference(c, r, k),
            "a loss for each pair: the mean of the batch is wanted":
                lambda c, r, k: F.softplus(r - c) + k * (c + r) ** 2,
        },
        gradients=["chosen", "rejected"], seeds=seeds,
    )  # fmt: skip


def _scored(generator: torch.Generator) -> dict[str, dict]:
    chosen, rejected = (
        3 * torch.randn(6, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    order = torch.randperm(6, generator=generator)
    far = 5e3 * torch.tensor([-1.0, 1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    pairs = {"chosen": chosen, "rejected": rejected, "centre": 0.03}
    return {
        "six pairs": pairs,
        "the same in another order": {
            **pairs, "chosen": chosen[order], "rejected": rejected[order]
        },
        "chosen and rejected changed over": {**pairs, "chosen": rejected, "rejected": chosen},
        "all rewards raised by 5": {**pairs, "chosen": chosen + 5, "rejected": rejected + 5},
        "nothing to hold the level": {**pairs, "centre": 0.0},
        "a large coefficient": {**pairs, "centre": 3.0},
        "rewards 10,000 apart": {**pairs, "chosen": far, "rejected": -far},
    }  # fmt: skip
