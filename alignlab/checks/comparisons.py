"""Checks of chapter 4: from what people said of several responses to a loss on rewards.

Shapes: P prompts with K responses each, B pairs of responses.
"""

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F

from alignlab.checks.common import SEEDS, Case, verify

REWARDS = ["chosen_rewards", "rejected_rewards"]


def ranking_pairs(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``ranking_pairs(ranks) -> weights`` of all pairs (chosen, rejected), ``(P, K, K)``.

    Raises:
        CheckFailed: a pair that the ranking does not give, or not the weight with which a prompt
            counts as 1 (Ouyang et al. 2022, "Training language models to follow instructions with
            human feedback", section 3.5).
    """

    def reference(ranks):
        found = torch.zeros(*ranks.shape, ranks.shape[1], dtype=torch.float64)
        for weights, row in zip(found, ranks.tolist()):
            pairs = [(i, j) for i, a in enumerate(row) for j, b in enumerate(row) if 0 < a < b]
            for i, j in pairs:
                weights[i, j] = 1 / len(pairs)
        return found

    def better(ranks, lowest=1):
        first = ranks[:, :, None]
        return ((first < ranks[:, None]) & (first >= lowest)).double()

    def shared(pairs, dims=(1, 2)):
        return pairs / pairs.sum(dims, keepdim=True).clamp(min=1)

    def tied(ranks):
        same = (ranks[:, :, None] == ranks[:, None]) & (ranks > 0)[:, None]
        return same.double() * (1 - torch.eye(ranks.shape[1], dtype=torch.float64))

    def of_all(ranks):
        return better(ranks) / math.comb(ranks.shape[1], 2)

    def neighbours(ranks):
        between = (better(ranks) @ better(ranks)).clamp(max=1)
        return shared(better(ranks) - between)

    def from_best(ranks):
        best = ranks.where(ranks > 0, ranks.max() + 1).amin(1, keepdim=True)
        return shared(better(ranks) * (ranks == best)[:, :, None])

    def apart(ranks):
        gaps = better(ranks) * (ranks[:, None] - ranks[:, :, None])
        return gaps / gaps.sum((1, 2), keepdim=True).clamp(min=1)

    def unguarded(ranks):
        return better(ranks) / better(ranks).sum((1, 2), keepdim=True)

    by_hand = (
        ("five responses: two tie, and one was not ranked", [[2, 1, 0, 3, 2]]),
        ("a ranking of two responses and one of three", [[2, 1, 0], [1, 3, 2]]),
        ("a ranking that gives no pair", [[1, 1, 0]]),
    )
    verify(
        "ranking_pairs", answer, reference,
        [Case(title, {"ranks": torch.tensor(ranks)}) for title, ranks in by_hand], _rankings,
        mistakes={
            "chosen and rejected are exchanged: rank 1 is the best": lambda r: reference(r).mT,
            "every pair has the weight 1: together the pairs of a prompt are to weigh 1": better,
            "divided by the number of pairs that K responses can have: ties, and responses that "
            "nobody ranked, leave fewer": of_all,
            "0 is no rank: a response that nobody ranked counts as the best one here":
                lambda r: shared(better(r, 0)),
            "0 is no rank: a response that nobody ranked counts as the worst one here":
                lambda r: shared(better(r.where(r > 0, r.max() + 1))),
            "a tie gives no pair, not half a pair each way":
                lambda r: shared(better(r) + tied(r) / 2),
            "only neighbours in the ranking: the first is better than the third as well":
                neighbours,
            "only pairs with the best response: the second is better than the third as well":
                from_best,
            "only the order of the ranks counts, not how far apart they are": apart,
            "each chosen response weighs 1, and not each prompt":
                lambda r: shared(better(r), 2),
            "the pairs of all prompts together weigh 1: those of each prompt are to":
                lambda r: better(r) / better(r).sum().clamp(min=1),
            "0 divided by 0 where a ranking gives no pair": unguarded,
        },
        seeds=seeds,
    )  # fmt: skip


def _rankings(generator: torch.Generator) -> dict[str, dict]:
    ranks = torch.randint(0, 4, (4, 6), generator=generator)
    ranks[0] = torch.tensor([0, 3, 1, 2, 1, 0])
    rows, columns = (torch.randperm(n, generator=generator) for n in (4, 6))
    whole = torch.stack([torch.randperm(7, generator=generator) + 1 for _ in range(3)])
    return {
        "four prompts of six responses": {"ranks": ranks},
        "the same in another order": {"ranks": ranks[rows][:, columns]},
        "the same with numbers left out": {"ranks": ranks * (3 * ranks + 2)},
        "three prompts of seven responses, without ties": {"ranks": whole},
        "two responses": {"ranks": torch.tensor([[1, 2], [2, 1], [0, 1], [1, 1]])},
    }


def bradley_terry_loss(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``bradley_terry_loss(chosen_rewards, rejected_rewards) -> losses``, ``(B,)`` each.

    Raises:
        CheckFailed: a loss of a pair, or its gradient in either reward, is not that of the negative
            log-likelihood of the choice (Bradley and Terry 1952, "Rank analysis of incomplete block
            designs", in terms of log-odds).
    """

    def reference(chosen, rejected):
        return F.softplus(rejected - chosen)

    def overflowing(chosen, rejected):
        return -(chosen.exp() / (chosen.exp() + rejected.exp())).log()

    pairs = (
        ("a chosen response of reward 2, a rejected one of reward 1", [2.0], [1.0]),
        ("two pairs, one of them with equal rewards", [0.5, -3.0], [0.5, 1.0]),
    )
    verify(
        "bradley_terry_loss", answer, reference,
        [
            Case(title, {"chosen_rewards": torch.tensor(chosen, dtype=torch.float64),
                         "rejected_rewards": torch.tensor(rejected, dtype=torch.float64)})
            for title, chosen, rejected in pairs
        ],
        _rewards,
        mistakes={
            "chosen and rejected are exchanged": lambda c, r: reference(r, c),
            "the sign: this is the log-probability of the choice, the loss is minus it":
                lambda c, r: -reference(c, r),
            "the probability of the choice: the logarithm is missing":
                lambda c, r: -torch.sigmoid(c - r),
            "a share of the rewards: they are log-odds, and may be below 0":
                lambda c, r: -(c / (c + r)).log(),
            "each response is scored by itself: only the difference of the two is known":
                lambda c, r: F.softplus(-c) + F.softplus(r),
            "in bits: nats are wanted": lambda c, r: reference(c, r) / math.log(2),
            "exp of a large reward overflows: take the difference first": overflowing,
            "log(sigmoid): a probability too small for a number becomes 0, its logarithm infinite":
                lambda c, r: -torch.sigmoid(c - r).log(),
            "one number for the batch: a loss for each pair is wanted":
                lambda c, r: reference(c, r).mean(),
        },
        gradients=REWARDS, seeds=seeds,
    )  # fmt: skip


def _rewards(generator: torch.Generator) -> dict[str, dict]:
    chosen, rejected = (
        3 * torch.randn(7, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    rejected[0] = chosen[0] + 5.0
    order = torch.randperm(7, generator=generator)
    shift = torch.tensor([-40.0, -5.0, -1.0, 0.0, 2.0, 9.0, 40.0], dtype=torch.float64)
    far = 1e4 * torch.tensor([-1.0, 1.0, -1.0, 1.0, 0.0, 1.0, -1.0], dtype=torch.float64)
    drawn = {
        "seven pairs": (chosen, rejected),
        "the same in another order": (chosen[order], rejected[order]),
        "chosen and rejected changed over": (rejected, chosen),
        "both rewards of a pair shifted by the same amount": (chosen + shift, rejected + shift),
        "rewards of 10,000 that differ by little": (chosen + 1e4, rejected + 1e4),
        "rewards that differ by 10,000": (far, rejected),
    }
    return {title: dict(zip(REWARDS, pair)) for title, pair in drawn.items()}
