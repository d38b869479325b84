"""Checks of chapter 7: what labels given twice, or by several people, say of those who gave them.

Shapes: n pairs of responses, A annotators.
"""

import math
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import SEEDS, Case, verify

ROUNDS = 20  # of EM
LOWEST, HIGHEST = 0.01, 0.99  # what an accuracy is kept between


def position_bias(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``position_bias(choices, swapped) -> (share, p_value)`` of places taken, ``(n,)`` each.

    Raises:
        CheckFailed: not the share of pairs in which one place was taken both times, or not the
            exact two-sided binomial p-value of the first place among them.
    """

    def reference(choices, swapped):
        same = [a for a, b in zip(choices.tolist(), swapped.tolist()) if a == b]
        count, first = len(same), sum(same)
        # All that is no more probable than what was seen.
        ways = [math.comb(count, i) for i in range(count + 1)]
        return count / len(choices), sum(w for w in ways if w <= ways[first]) / 2**count

    def counted(choices, swapped):
        same = choices == swapped
        return int(same.sum()), int(choices[same].sum())

    def above(count, first):
        return sum(math.comb(count, i) for i in range(first, count + 1)) / 2**count

    def twice(count, first):
        return min(1.0, 2 * above(count, max(first, count - first)))

    def p_value(value):
        return lambda *x: (reference(*x)[0], value(*counted(*x)))

    def share(value):
        return lambda *x: (value(*x), reference(*x)[1])

    def normal(count, first):
        if not count:
            return 1.0
        return math.erfc(abs(first - count / 2) / math.sqrt(count / 4) / math.sqrt(2))

    by_hand = {
        "choices": torch.tensor([0, 1, 0, 0, 1, 0, 0, 0]),
        "swapped": torch.tensor([0, 1, 0, 1, 0, 0, 1, 0]),
    }
    half = torch.tensor([1, 0, 1, 0, 1])
    verify(
        "position_bias", answer, reference,
        [
            Case("eight pairs, in five of which one place was taken both times", by_hand),
            Case("the first place as often as the second",
                 {"choices": half, "swapped": torch.tensor([1, 0, 1, 0, 0])}),
            Case("the same response both times, in every pair",
                 {"choices": half, "swapped": 1 - half}),
        ],
        _labelled_twice,
        mistakes={
            "the places changed over: who takes the same place takes the other response":
                lambda a, b: reference(a, 1 - b),
            "of all pairs, not of those with one place both times":
                share(lambda a, b: float(counted(a, b)[0] > 0)),
            "the second place counts too, if it was taken both times":
                share(lambda a, b: counted(a, b)[1] / len(a)),
            "the share of the first place among those with one place both times": share(
                lambda a, b: counted(a, b)[1] / max(counted(a, b)[0], 1)),
            "two-sided: the second place taken as often would surprise as much":
                p_value(lambda k, f: above(k, max(f, k - f))),
            "the chance of the first place so often or more: two-sided counts both ends":
                p_value(above),
            "a p-value above 1: where both places are taken equally often, it is 1":
                p_value(lambda k, f: 2 * above(k, max(f, k - f))),
            "the chance of exactly this number: those further out belong to it":
                p_value(lambda k, f: math.comb(k, f) / 2**k),
            "what was seen belongs to the tail": p_value(
                lambda k, f: min(1.0, 2 * above(k, max(f, k - f) + 1))),
            "the normal curve is an approximation: add up the binomial probabilities":
                p_value(normal),
            "a pair whose response was taken twice says nothing of places: leave it out": lambda a,
                b: (reference(a, b)[0], twice(2 * len(a), int(a.sum() + b.sum()))),
            "the first round of labels alone: it has the better responses in it": lambda a, b: (
                reference(a, b)[0], twice(len(a), int(a.sum()))),
        },
        seeds=seeds,
    )  # fmt: skip


def _labelled_twice(generator: torch.Generator) -> dict[str, dict]:
    def drawn(count, first):
        better = torch.rand(count, generator=generator) < 0.5
        sure = torch.rand(count, generator=generator) < 0.5
        places = torch.rand(2, count, generator=generator) < first
        return {
            "choices": torch.where(sure, better, places[0]).long(),
            "swapped": torch.where(sure, ~better, places[1]).long(),
        }

    pairs = drawn(41, 0.7)
    order = torch.randperm(41, generator=generator)
    return {
        "41 pairs": pairs,
        "the same in another order": {name: x[order] for name, x in pairs.items()},
        "the second place taken more often": {name: 1 - x for name, x in pairs.items()},
        "the two rounds exchanged":
            {"choices": pairs["swapped"], "swapped": pairs["choices"]},
        "always the first place": {name: torch.ones_like(x) for name, x in pairs.items()},
        "5,000 pairs": drawn(5000, 0.51),
        "one pair": {name: x[:1] for name, x in pairs.items()},
    }  # fmt: skip


def annotator_accuracies(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``annotator_accuracies(votes) -> (accuracies, answers)``, ``(A,)`` and ``(n,)``.

    Raises:
        CheckFailed: not what 20 rounds of EM lead to from the shares of votes, where each annotator
            has one accuracy: the simplest model of Dawid and Skene (1979), "Maximum likelihood
            estimation of observer error-rates using the EM algorithm".
    """

    def reference(votes):
        rows = votes.tolist()
        given = [[row[j] for row in rows if row[j] >= 0] for j in range(votes.shape[1])]
        ones = [sum(column) / len(column) for column in given]
        for _ in range(ROUNDS):
            weights = []
            for row in rows:
                agreed = [q if v else 1 - q for q, v in zip(ones, row) if v >= 0]
                share = min(max(math.fsum(agreed) / len(agreed), LOWEST), HIGHEST)
                weights.append((share, math.log(share) - math.log1p(-share)))
            odds = [
                math.fsum(w if row[j] else -w for (_, w), row in zip(weights, rows) if row[j] >= 0)
                for j in range(votes.shape[1])
            ]
            ones = [(1 + math.tanh(x / 2)) / 2 for x in odds]
        accuracies = [share for share, _ in weights]
        return tuple(torch.tensor(x, dtype=torch.float64) for x in (accuracies, ones))

    def as_zero(votes):
        return _em(votes.clamp(min=0))

    def no_round(votes):
        return _accuracies(votes, _shares(votes)), _shares(votes)

    def zero(votes):
        accuracies, ones = _em(votes)
        return accuracies, 1 - ones

    votes = [[1, 1, 0, 1, 0, 0], [1, 0, 0, 1, 1, -1], [0, 1, 0, 1, 1, 0], [-1, 1, 1, 0, 1, 1]]
    verify(
        "annotator_accuracies", answer, reference,
        [Case("four annotators and six pairs, two votes missing", {"votes": torch.tensor(votes)})],
        _votes,
        mistakes={
            "no round was made: these are the shares of votes, and how well each annotator agrees "
            "with them": no_round,
            "one round alone: go on from the answers that it found": lambda v: _em(v, rounds=1),
            "a missing vote is not a vote for 0": as_zero,
            "a vote weighs as much as the annotator's log-odds, not as the accuracy": lambda v:
                _em(v, answers=_weighed),
            "answers are decided in every round: keep their probabilities":
                lambda v: _em(v, answers=lambda v, a: (_answers(v, a) > 0.5).double()),
            "both answers are equally likely before the votes: their share is not in the model":
                lambda v: _em(v, prior=True),
            "a vote for 0 counts against 1": lambda v: _em(
                v, answers=lambda v, a: torch.sigmoid((_odds(a) * (v == 1)).sum(0))),
            "divided by all pairs, not by those that the annotator voted on": lambda v: _em(
                v, accuracies=lambda v, q: _accuracies(v, q, over=v.shape[1])),
            "an annotator who is mostly wrong tells something too: the vote counts the other way "
            "round": lambda v: _em(
                v, answers=lambda v, a: torch.sigmoid((_odds(a.clamp(min=0.5)) * _sign(v)).sum(0))),
            "accuracies are kept between 0.01 and 0.99": lambda v: _em(
                v, accuracies=lambda v, q: _accuracies(v, q, 1e-300, 1.0)),
            "the probability that the answer is 1, not 0": zero,
            "a product of many probabilities is too small for a number: add up logarithms":
                lambda v: _em(v, answers=_multiplied),
        },
        seeds=seeds,
    )  # fmt: skip


def _shares(votes):
    return (votes == 1).sum(0).double() / (votes >= 0).sum(0)


def _sign(votes):
    return (2 * votes - 1) * (votes >= 0)


def _odds(accuracies):
    return accuracies.logit()[:, None]


def _accuracies(votes, ones, lowest=LOWEST, highest=HIGHEST, over=None):
    agreed = torch.where(votes == 1, ones, 1 - ones) * (votes >= 0)
    return (agreed.sum(1) / (over or (votes >= 0).sum(1))).clamp(lowest, highest)


def _answers(votes, accuracies):
    return torch.sigmoid((_odds(accuracies) * _sign(votes)).sum(0))


def _weighed(votes, accuracies):
    weights = accuracies[:, None] * (votes >= 0)
    return (weights * (votes == 1)).sum(0) / weights.sum(0)


def _multiplied(votes, accuracies):
    accuracies = accuracies[:, None]
    chances = [torch.where(votes == x, accuracies, 1 - accuracies) for x in (1, 0)]
    one, zero = (x.where(votes >= 0, 1.0).prod(0) for x in chances)
    return one / (one + zero)


def _em(votes, rounds=ROUNDS, accuracies=_accuracies, answers=_answers, prior=False):
    ones = _shares(votes)
    for _ in range(rounds):
        found, before = accuracies(votes, ones), ones.mean().logit()
        ones = answers(votes, found)
        ones = torch.sigmoid(ones.logit() + before) if prior else ones
    return found, ones


def _votes(generator: torch.Generator) -> dict[str, dict]:
    skill = torch.tensor([[0.9], [0.8], [0.75], [0.6], [0.2]])
    truth = torch.rand(29, generator=generator) < 0.7
    right = torch.rand(5, 29, generator=generator) < skill
    votes = torch.where(right, truth, ~truth).long()
    missing = torch.rand(5, 29, generator=generator) < 0.3
    missing[0], missing[:, 0] = False, False
    votes = votes.masked_fill(missing, -1)
    alone = votes.clone()
    alone[1:, 1:6] = -1
    rows, columns = (torch.randperm(n, generator=generator) for n in (5, 29))
    crowd = (torch.rand(1500, 3, generator=generator) < torch.tensor([0.65, 0.4, 0.6])).long()
    return {
        "five annotators, one of them mostly wrong": {"votes": votes},
        "the same in another order": {"votes": votes[rows][:, columns]},
        "the answers 0 and 1 exchanged": {"votes": torch.where(votes < 0, votes, 1 - votes)},
        "five pairs of one vote": {"votes": alone},
        "all annotators agree": {"votes": votes[:1].expand(4, -1).clone()},
        "1,500 annotators": {"votes": crowd},
    }  # fmt: skip
