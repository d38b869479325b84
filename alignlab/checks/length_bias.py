"""Check of chapter 7's last exercise: a regression that finds a liking for length in comparisons.

The answer may come from any method that converges, so it is judged by how close it is to the
maximum. Shapes: n pairs of responses.
"""

import math
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import SEEDS, Case, Trial, passed
from alignlab.checks.values import plain

NEAR = 1e-4  # how far each number may be off, absolutely and relatively


def audit(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``audit(reward_gap, length_gap, chosen_first)``, with arguments of shape ``(n,)``.

    It gives the weights of reward and length, the second one's standard error, and the ratio of
    the two weights.

    Raises:
        CheckFailed: not the maximum of the likelihood of a logistic regression without intercept,
            or not the standard error from its information matrix.
    """
    cases = [
        Case("pairs that differ in reward alone, in length alone, or in nothing", _by_hand()),
        Case("the same, responses in changed-over places", _changed_over(**_by_hand())),
    ]
    for seed in seeds:
        made = _annotators(torch.Generator().manual_seed(seed))
        cases += [Case(title, arguments, seed) for title, arguments in made.items()]
    for case in cases:
        _judge(Trial("audit", answer, case, {}))
    passed("audit", len(cases))


def _by_hand() -> dict:
    """Return ten pairs whose weights are log 3 and log 2: odds of 3 to 1 and of 2 to 1."""
    gaps = [[1.0, 0.0]] * 4 + [[0.0, 1.0]] * 3 + [[0.0, 0.0]] * 3
    reward, length = torch.tensor(gaps, dtype=torch.float64).T.clone()
    chosen = torch.tensor([1, 1, 1, 0, 1, 1, 0, 1, 1, 0])
    return {"reward_gap": reward, "length_gap": length, "chosen_first": chosen}


def _changed_over(reward_gap, length_gap, chosen_first, which=True) -> dict:
    sign = 1 - 2 * torch.as_tensor(which).double()
    return {
        "reward_gap": sign * reward_gap,
        "length_gap": sign * length_gap,
        "chosen_first": torch.where(sign < 0, 1 - chosen_first, chosen_first),
    }


def _annotators(generator: torch.Generator) -> dict[str, dict]:
    def judged(reward, length, reward_weight, length_weight):
        chance = torch.sigmoid(reward_weight * reward + length_weight * length)
        chosen = (torch.rand(len(reward), generator=generator) < chance).long()
        return {"reward_gap": reward, "length_gap": length, "chosen_first": chosen}

    reward = torch.randn(150, generator=generator, dtype=torch.float64)
    length = torch.randn(150, generator=generator, dtype=torch.float64) + 2 * reward
    longer = judged(reward, length, 1.2, 0.6)
    order = torch.randperm(150, generator=generator)
    which = torch.rand(150, generator=generator) < 0.5
    return {
        "an annotator who likes length": longer,
        "the same in another order": {name: x[order] for name, x in longer.items()},
        "the same, the chosen response always first":
            _changed_over(**longer, which=longer["chosen_first"] == 0),
        "some pairs in changed-over places": _changed_over(**longer, which=which),
        "an annotator who does not look at length": judged(reward, length, 1.2, 0.0),
        "an annotator who dislikes length": judged(reward, length, 0.8, -0.5),
        "a very sure annotator": judged(2 * reward, 2 * length, 1.5, 0.5),
        "forty pairs": judged(reward[:40], length[:40], 0.5, 0.3),
    }  # fmt: skip


def _fitted(gaps, chosen, pull=0.0):
    """Return the weights of greatest likelihood, less ``pull`` times half their squares.

    The steps divide by a bound of the curvature instead of the curvature itself, which is slow but
    never overshoots (Böhning and Lindsay 1988, "Monotonicity of quadratic-approximation").
    """
    bound = gaps.T @ gaps / 4 + pull * torch.eye(gaps.shape[1], dtype=torch.float64)
    weights = torch.zeros(gaps.shape[1], dtype=torch.float64)
    for _ in range(20_000):
        slope = gaps.T @ (chosen - torch.sigmoid(gaps @ weights)) - pull * weights
        step = torch.linalg.solve(bound, slope)
        weights = weights + step
        if step.abs().max() < 1e-12:
            break
    return weights


def _summary(weights, gaps) -> torch.Tensor:
    """Return the four numbers that the exercise asks for."""
    chance = torch.sigmoid(gaps @ weights)
    counts = chance * (1 - chance)
    reward, mixed, length = (
        (counts * a * b).sum() for a, b in ((gaps[:, 0],) * 2, gaps[:, :2].T, (gaps[:, 1],) * 2)
    )
    error = (reward / (reward * length - mixed**2)).sqrt()
    return torch.stack([weights[0], weights[1], error, weights[1] / weights[0]])


def _judge(trial: Trial) -> None:
    got, _ = trial.run()
    reward_gap, length_gap, chosen = trial.case.arguments.values()
    gaps, chosen = torch.stack([reward_gap, length_gap], 1), chosen.double()
    truth = _summary(_fitted(gaps, chosen), gaps)
    try:
        parts = plain(got, tuple(truth))
    except TypeError as error:
        raise trial.failure(str(error)) from None
    if any(part.ndim for part in parts):
        shapes = ", ".join(str(tuple(part.shape)) for part in parts)
        raise trial.failure(f"four single numbers are wanted, not the shapes {shapes}")
    found = torch.stack([part.detach().double() for part in parts])
    names = ("the weight of reward", "the weight of length", "its standard error", "the worth")
    for name, value, want in zip(names, found.tolist(), truth.tolist()):
        size = abs(value - want) / (NEAR * (1 + abs(want)))
        if not size <= 1:
            raise trial.failure(
                f"{name} is {value:.5g}, expected {want:.5g}; an error of {NEAR:g} is allowed",
                truth, found, size if math.isfinite(size) else math.inf,
                _likely(found, truth, gaps, chosen),
            )  # fmt: skip


def _likely(found, truth, gaps, chosen) -> str | None:
    """Compare the four numbers with those that usual mistakes lead to."""
    reward, length, error, worth = truth
    straight = torch.linalg.lstsq(gaps, chosen[:, None] - 0.5).solution[:, 0]
    alone = torch.cat([_fitted(gaps[:, i : i + 1], chosen) for i in (0, 1)])
    constant = torch.cat([gaps, torch.ones(len(gaps), 1, dtype=torch.float64)], 1)
    chance = torch.sigmoid(gaps @ truth[:2])
    squares, counts = gaps[:, 1].square(), chance * (1 - chance)
    weights = {
        "the sign: chosen_first is 1 where the first response was chosen": -truth[:2],
        "no step was taken": torch.zeros(2, dtype=torch.float64),
        "a straight line instead of a logistic curve: this is a least-squares fit": straight,
        "one Newton step from 0 is not the maximum: go on until nothing changes": 4 * straight,
        "each gap on its own: fit both at once, or one stands in for the other": alone,
        "the weights are held back: the greatest likelihood has no penalty":
            _fitted(gaps, chosen, 1.0),
        "an intercept is a liking for the first place: there is none here":
            _fitted(constant, chosen)[:2],
        "the weights are exchanged: first reward, then length": torch.stack([length, reward]),
    }  # fmt: skip
    ends = {
        "the worth is the length's weight divided by the reward's, not the reverse":
            torch.stack([error, 1 / worth]),
        "the standard error is a root: this is the variance": torch.stack([error**2, worth]),
        "every pair counts p(1 - p) in the information, not 1":
            torch.stack([gaps.T.matmul(gaps).inverse()[1, 1].sqrt(), worth]),
        "the error as if the weight of reward were known: invert the whole matrix first":
            torch.stack([(counts * squares).sum() ** -0.5, worth]),
        "the information is a sum over the pairs: its mean makes the error too large":
            torch.stack([error * len(gaps) ** 0.5, worth]),
        "this is the error of the weight of reward": torch.stack([
            (truth[2] ** 2 * (counts * squares).sum()
             / (counts * gaps[:, 0].square()).sum()).sqrt(), worth]),
    }  # fmt: skip
    fitted = (found - truth)[:2].abs().max() < 1e-3
    table, numbers = (ends, found[2:]) if fitted else (weights, found[:2])
    return next((n for n, pair in table.items() if (pair - numbers).abs().max() < 1e-3), None)
