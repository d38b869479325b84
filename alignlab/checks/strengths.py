"""Check of chapter 4's fit of Bradley and Terry's model: strengths from a table of wins.

It allows more than other checks do, since the answer is reached in steps. Shapes: M models.
"""

import math
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import Case, Trial, passed

SEEDS = (0, 1)
NEAR = 1e-4  # how far each strength may be from the best one
STEPS = 100  # of Newton's method; five or six are enough
ELO = 400 / math.log(10)  # points for one unit of strength


def fit_strengths(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``fit_strengths(wins) -> strengths``, ``(M,)``, of mean 0.

    Raises:
        CheckFailed: not the strengths under which the wins are most probable (Bradley and Terry
            1952; Hunter 2004, "MM algorithms for generalized Bradley–Terry models").
    """
    by_hand = (
        ("three models, of which two never met", [[0, 6, 0], [2, 0, 4], [0, 2, 0]]),
        ("two models: 3 wins to 1", [[0, 3], [1, 0]]),
    )
    cases = [
        Case(title, {"wins": torch.tensor(wins, dtype=torch.float64)}) for title, wins in by_hand
    ]
    for seed in seeds:
        made = _tables(torch.Generator().manual_seed(seed))
        cases += [Case(title, {"wins": wins}, seed) for title, wins in made.items()]
    for case in cases:
        _judge(Trial("fit_strengths", answer, case, {}), _maximum(**case.arguments))
    passed("fit_strengths", len(cases))


def _tables(generator: torch.Generator) -> dict[str, torch.Tensor]:
    strengths = torch.randn(5, generator=generator, dtype=torch.float64)
    games = torch.randint(3, 80, (5, 5), generator=generator).double()
    wins = _played(strengths, games, generator)
    order = torch.randperm(5, generator=generator)
    ring = torch.eye(5, dtype=torch.float64).roll(1, 1)
    apart = torch.tensor([-3.0, 0.5, 3.5, -1.0], dtype=torch.float64)
    chance = torch.sigmoid(apart[:, None] - apart)
    return {
        "five models that met unequally often": wins,
        "the same in another order": wins[order][:, order],
        "seven times as many comparisons": 7 * wins,
        "a ring: each met two others": _played(
            torch.randn(5, generator=generator, dtype=torch.float64) / 2, 25 * ring, generator),
        "strengths up to 6.5 apart": 1000 * (chance - chance.diag().diag()),
    }  # fmt: skip


def _played(strengths, games, generator) -> torch.Tensor:
    """Draw the wins of so many games, and one more for each model against the next, each way."""
    games = games.triu(1) + games.tril(-1).mT
    won = torch.binomial(games, torch.sigmoid(strengths[:, None] - strengths), generator=generator)
    once = torch.eye(len(games), dtype=torch.float64).roll(1, 1)
    return won + (games - won).mT + once + once.mT


def _maximum(wins: torch.Tensor) -> torch.Tensor:
    """Return the strengths under which the wins are most probable, by Newton's method."""
    size, games = len(wins), wins + wins.mT
    found = torch.zeros(size, dtype=torch.float64)
    for _ in range(STEPS):
        chance = torch.sigmoid(found[:, None] - found)
        bend = games * chance * (1 - chance)
        # Of all solutions the one of mean 0: strengths are determined up to a constant.
        curvature = bend.sum(1).diag() - bend + 1 / size
        step = torch.linalg.solve(curvature, wins.sum(1) - (games * chance).sum(1))
        found = found + step / step.abs().max().clamp(min=1)
        if step.abs().max() < 1e-12:
            break
    return found - found.mean()


def _judge(trial: Trial, truth: torch.Tensor) -> None:
    found = trial.one_tensor(truth, "the strengths")
    far = (truth - found).abs().max().item()
    if not far <= NEAR:
        raise trial.failure(
            f"a strength is {far:.3g} away from the best one; at most {NEAR:g} is wanted",
            truth, found, far / NEAR if math.isfinite(far) else math.inf,
            _likely(found, truth, **trial.case.arguments),
        )  # fmt: skip


def _likely(found, truth, wins) -> str | None:
    """Compare strengths with those that usual mistakes lead to."""
    games = wins + wins.mT
    met = games > 0
    share = wins.sum(1) / games.sum(1)
    odds = (wins / wins.mT).log().where(met, 0.0)
    wrong = {
        "no step was taken": torch.zeros_like(truth),
        "wins[i, j] counts how often i was preferred to j, not j to i": -truth,
        "the first strength is 0: the mean of all is to be": truth - truth[0],
        "the strengths are right up to a constant: take their mean off":
            truth + (found - truth).mean(),
        "the logarithm is missing: the strengths are log-odds": truth.exp() * found.sum()
            / truth.exp().sum(),
        "Elo points: a unit of strength is 400 / ln 10 of these": ELO * truth,
        "the share of wins says nothing of how strong the opponents were": share,
        "the log-odds of each one's share of wins: they leave out how strong the opponents were":
            _centred(share.logit()),
        "the logarithm of each one's wins: it leaves out how strong the opponents were, and how "
        "often they met": _centred(wins.sum(1).log()),
        "the mean of the log-odds against each opponent: a pair that met often says more":
            _centred(odds.sum(1) / len(wins)),
    }  # fmt: skip
    return next((n for n, values in wrong.items() if (values - found).abs().max() < NEAR), None)


def _centred(values: torch.Tensor) -> torch.Tensor:
    return values - values.mean()
