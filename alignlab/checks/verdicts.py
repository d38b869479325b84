"""Checks of chapter 4: what programs and judges say of responses.

Shapes: I instructions, B pairs of responses.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import groupby

import torch

from alignlab.checks.common import SEEDS, Case, verify


def follow_rates(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``follow_rates(kept, prompt_ids) -> (instructions, prompts)``, from ``(I,)`` each.

    Raises:
        CheckFailed: not the share of instructions kept, or not the share of prompts that have all
            theirs kept (Zhou et al. 2023, "Instruction-following evaluation for large language
            models").
    """

    def grouped(kept, prompt_ids):
        groups = defaultdict(list)
        for one, prompt in zip(kept.tolist(), prompt_ids.tolist()):
            groups[prompt].append(one)
        return list(groups.values())

    def reference(kept, prompt_ids):
        groups = grouped(kept, prompt_ids)
        return sum(kept.tolist()) / len(kept), sum(map(all, groups)) / len(groups)

    def other(place, value):
        def found(kept, prompt_ids):
            right = list(reference(kept, prompt_ids))
            right[place] = value(kept, grouped(kept, prompt_ids), prompt_ids)
            return tuple(right)

        return found

    def mean_share(kept, groups, prompt_ids):
        return math.fsum(sum(group) / len(group) for group in groups) / len(groups)

    def with_gaps(kept, groups, prompt_ids):
        return 1 - sum(not all(group) for group in groups) / (int(prompt_ids.max()) + 1)

    def in_runs(kept, groups, prompt_ids):
        rows = zip(prompt_ids.tolist(), kept.tolist())
        runs = [all(one for _, one in run) for _, run in groupby(rows, lambda row: row[0])]
        return sum(runs) / len(runs)

    verify(
        "follow_rates", answer, reference,
        [
            Case("six instructions of three prompts",
                 {"kept": torch.tensor([1, 1, 0, 1, 1, 1]),
                  "prompt_ids": torch.tensor([7, 3, 7, 5, 3, 7])}),
        ],
        _instructions,
        mistakes={
            "one kept instruction is not enough: a prompt needs all of its own":
                other(1, lambda kept, groups, ids: sum(map(any, groups)) / len(groups)),
            "a prompt is kept as a whole or not at all: this is the mean of the prompts' shares":
                other(1, mean_share),
            "every instruction counts the same in the first number: this is the mean of the "
            "prompts' shares": other(0, mean_share),
            "divided by the number of instructions: the second number is a share of prompts":
                other(1, lambda kept, groups, ids: sum(map(all, groups)) / len(kept)),
            "every prompt counts the same in the second number, however many instructions it has":
                other(1, lambda kept, groups, ids: sum(
                    len(group) for group in groups if all(group)) / len(kept)),
            "the ids are names: not every number up to the largest is a prompt":
                other(1, with_gaps),
            "the instructions of a prompt need not follow each other": other(1, in_runs),
            "the shares that were not kept":
                lambda *x: tuple(1 - share for share in reference(*x)),
            "the two numbers are exchanged": lambda *x: reference(*x)[::-1],
        },
        seeds=seeds,
    )  # fmt: skip


def _instructions(generator: torch.Generator) -> dict[str, dict]:
    prompt_ids = torch.randint(0, 15, (41,), generator=generator)
    kept = (torch.rand(41, generator=generator) < 0.7).long()
    order = torch.randperm(41, generator=generator)
    names = 100 * torch.randperm(15, generator=generator) + 3
    return {
        "41 instructions": {"kept": kept, "prompt_ids": prompt_ids},
        "the same in another order": {"kept": kept[order], "prompt_ids": prompt_ids[order]},
        "the prompts under other numbers": {"kept": kept, "prompt_ids": names[prompt_ids]},
        "sorted by prompt": {
            "kept": kept[prompt_ids.argsort()], "prompt_ids": prompt_ids.sort().values
        },
        "one instruction in each prompt": {"kept": kept, "prompt_ids": torch.arange(41)},
        "all kept": {"kept": torch.ones_like(kept), "prompt_ids": prompt_ids},
        "none kept": {"kept": torch.zeros_like(kept), "prompt_ids": prompt_ids},
    }  # fmt: skip


def win_rate(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``win_rate(first, swapped) -> (rate, first_place, second_place)`` of B pairs.

    Raises:
        CheckFailed: not the win rate in which a response has to win in both places (Zheng et al.
            2023, "Judging LLM-as-a-judge"), or not the shares of pairs in which a place won twice.
    """

    def reference(first, swapped):
        pairs = list(zip(first.tolist(), swapped.tolist()))
        won, lost = pairs.count((1, -1)), pairs.count((-1, 1))
        places = pairs.count((1, 1)), pairs.count((-1, -1))
        return (len(pairs) + won - lost) / 2 / len(pairs), *(n / len(pairs) for n in places)

    def counts(first, swapped):
        won, lost = ((first == a) & (swapped == -a) for a in (1, -1))
        return won.sum().item(), lost.sum().item(), len(first)

    def rate(value):
        return lambda first, swapped: (value(first, swapped), *reference(first, swapped)[1:])

    def places(value):
        return lambda first, swapped: (reference(first, swapped)[0], *value(first, swapped))

    def of_counts(value):
        return rate(lambda *x: value(*counts(*x)))

    def consistent(first, swapped):
        won, lost, n = counts(first, swapped)
        same = ((first == swapped) & (first != 0)).sum().item()
        return (won + (n - same - won - lost) / 2) / (n - same)

    def of_same(first, swapped):
        shares = reference(first, swapped)[1:]
        return tuple(share / sum(shares) for share in shares)

    by_hand = {
        "first": torch.tensor([1, 1, 1, 1, -1, 1, 1, -1, 1, 0]),
        "swapped": torch.tensor([-1, -1, -1, -1, 1, 1, 1, -1, 0, 0]),
    }
    verify(
        "win_rate", answer, reference, [Case("ten pairs", by_hand)], _verdicts,
        mistakes={
            "the second verdicts have to be turned round: there +1 is for the other model":
                lambda first, swapped: reference(first, -swapped),
            "the first verdicts alone: which place the model had is still in them":
                rate(lambda first, swapped: (1 + first.double().mean()) / 2),
            "the mean of both verdicts: one win and one tie make a tie":
                rate(lambda first, swapped: (2 + (first - swapped).double().mean()) / 4),
            "ties count one half, they are not left out":
                of_counts(lambda won, lost, n: won / (won + lost)),
            "ties count one half, not 0": of_counts(lambda won, lost, n: won / n),
            "ties count one half, not 1": of_counts(lambda won, lost, n: (n - lost) / n),
            "pairs whose verdicts contradict each other are ties, they are not left out":
                rate(consistent),
            "wins less losses: the rate is 0.5, not 0, if both are equally good":
                of_counts(lambda won, lost, n: (won - lost) / n),
            "the other model's win rate": rate(lambda *x: 1 - reference(*x)[0]),
            "the two places are exchanged": places(lambda *x: reference(*x)[:0:-1]),
            "a place has to win in both rounds: this is how often it won in the first":
                places(lambda first, swapped: (
                    (first == 1).double().mean(), (first == -1).double().mean())),
            "shares of the pairs whose verdicts contradict each other: shares of all are wanted":
                places(of_same),
        },
        seeds=seeds,
    )  # fmt: skip


def _verdicts(generator: torch.Generator) -> dict[str, dict]:
    first, swapped = (torch.randint(-1, 2, (53,), generator=generator) for _ in range(2))
    swapped = torch.where(torch.rand(53, generator=generator) < 0.4, -first, swapped)
    first = torch.where(torch.rand(53, generator=generator) < 0.2, 1, first)
    order = torch.randperm(53, generator=generator)
    decided = torch.randint(0, 2, (19,), generator=generator) * 2 - 1
    return {
        "53 pairs": {"first": first, "swapped": swapped},
        "the same in another order": {"first": first[order], "swapped": swapped[order]},
        "the two models changed over": {"first": swapped, "swapped": first},
        "the two places changed over": {"first": -first, "swapped": -swapped},
        "a judge whom places do not move": {"first": decided, "swapped": -decided},
        "a judge who always takes the second place": {
            "first": torch.full((7,), -1), "swapped": torch.full((7,), -1)
        },
        "nothing but ties": {"first": torch.zeros(5).long(), "swapped": torch.zeros(5).long()},
    }  # fmt: skip
