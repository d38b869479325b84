"""Checks of chapter 3: what is in a set of fine-tuning data.

A row is a list of tokens, as whole numbers.
"""

from collections.abc import Callable, Iterable
from itertools import chain

import torch

from alignlab.checks.common import SEEDS, Case, verify


def distinct_n(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``distinct_n(rows, n) -> share`` of different n-grams among all.

    Raises:
        CheckFailed: the value differs from Li et al. (2016), "A diversity-promoting objective
            function for neural conversation models".
    """

    def reference(rows, n):
        found = [gram for row in rows for gram in _grams(row, n)]
        return len({*found}) / len(found) if found else 0.0

    def each(rows, n):
        kept = [row for row in rows if len(row) >= n]
        return sum(reference([row], n) for row in kept) / max(len(kept), 1)

    def within(rows, n):
        found = [_grams(row, n) for row in rows]
        return sum(len({*row}) for row in found) / max(sum(map(len, found)), 1)

    verify(
        "distinct_n", answer, reference,
        [
            Case("pairs of tokens", {"rows": [[1], [2, 3, 2], [3, 2, 3, 2]], "n": 2}),
            Case("rows too short for an n-gram", {"rows": [[1, 2], [], [3]], "n": 3}),
        ],
        _texts,
        mistakes={
            "n-grams do not run from one row into the next":
                lambda rows, n: reference([[*chain(*rows)]], n),
            "the mean of the rows' shares: all n-grams go into one pot": each,
            "an n-gram that two rows have counts once": within,
            "the last n-gram of each row is missing: a row of T tokens has T - n + 1":
                lambda rows, n: reference([row[:-1] for row in rows], n),
            "divided by the number of tokens":
                lambda rows, n: reference(rows, n) * sum(len(_grams(row, n)) for row in rows)
                / max(sum(map(len, rows)), 1),
            "tokens, not n-grams": lambda rows, n: reference(rows, 1),
            "sorted: in another order it is another n-gram":
                lambda rows, n: len({tuple(sorted(g)) for row in rows for g in _grams(row, n)})
                / max(sum(len(_grams(row, n)) for row in rows), 1),
            "the share of repeats": lambda rows, n: 1 - reference(rows, n),
        },
        seeds=seeds,
    )  # fmt: skip


def _grams(row: list[int], n: int) -> list[tuple[int, ...]]:
    return [tuple(row[start : start + n]) for start in range(len(row) - n + 1)]


def _text(generator: torch.Generator, length: int, words: int = 4) -> list[int]:
    return torch.randint(0, words, (length,), generator=generator).tolist()


def _texts(generator: torch.Generator) -> dict[str, dict]:
    rows = [_text(generator, length) for length in (9, 1, 14, 0, 6, 3)]
    return {
        "pairs": {"rows": rows, "n": 2},
        "triples, some rows too short": {"rows": rows, "n": 3},
        "the rows in another order": {"rows": rows[::-1], "n": 3},
        "each row twice": {"rows": rows + rows, "n": 2},
        "single tokens": {"rows": rows, "n": 1},
    }


def contaminated_share(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``contaminated_share(train, test, n) -> share`` of the test rows.

    Raises:
        CheckFailed: not the share of test rows that have an n-gram in common with a training row
            (Brown et al. 2020, "Language models are few-shot learners", appendix C).
    """

    def shares(train, test, n):
        known = {gram for row in train for gram in _grams(row, n)}
        return [[gram in known for gram in _grams(row, n)] for row in test]

    def reference(train, test, n):
        found = shares(train, test, n)
        return sum(map(any, found)) / len(found)

    def of_grams(train, test, n):
        found = [*chain(*shares(train, test, n))]
        return sum(found) / max(len(found), 1)

    def long_only(train, test, n):
        found = [row for row in shares(train, test, n) if row]
        return sum(map(any, found)) / max(len(found), 1)

    def bags(train, test, n):
        known = {frozenset(row) for row in train}
        return sum(any(len({*row} & k) >= n for k in known) for row in test) / len(test)

    verify(
        "contaminated_share", answer, reference,
        [
            Case(
                "pairs of tokens",
                {
                    "train": [[1, 4, 4], [5, 4, 2], [5, 4, 5]],
                    "test": [[4, 4, 3], [4, 5], [1, 4, 1], [2, 5, 2], [5], [4, 5], [4, 4]],
                    "n": 2,
                },
            ),
            Case("a row shorter than n", {"train": [[1, 2, 3]], "test": [[1, 2], [1, 2, 3]],
                                          "n": 3}),
        ],
        _sides,
        mistakes={
            "the share of n-grams, not of rows": of_grams,
            "n-grams do not run from one training row into the next":
                lambda train, test, n: reference([[*chain(*train)]], test, n),
            "rows too short for an n-gram are rows too": long_only,
            "whole rows: a part is enough":
                lambda train, test, n: sum(row in train for row in test) / len(test),
            "tokens in common, in any order": bags,
            "every n-gram of the row: one is enough":
                lambda train, test, n: sum(
                    bool(row) and all(row) for row in shares(train, test, n)) / len(test),
            "the last n-gram of each row is missing": lambda train, test, n: reference(
                [row[:-1] for row in train], [row[:-1] for row in test], n),
            "the share of training rows: test rows are asked about":
                lambda train, test, n: reference(test, train, n),
            "the share of clean rows": lambda train, test, n: 1 - reference(train, test, n),
        },
        seeds=seeds,
    )  # fmt: skip


def _sides(generator: torch.Generator) -> dict[str, dict]:
    train = [_text(generator, length, 30) for length in (12, 7, 15, 3, 11)]
    test = [_text(generator, length, 30) for length in (8, 2, 10, 9, 12, 6)]
    test[0][3:6] = train[2][-3:]  # its end
    test[3][:3] = train[3]  # all of it
    test[4] = train[0]
    test[5] = [*train[1][::-1]][:6]
    drawn = {"train": train, "test": test, "n": 3}
    return {
        "triples": drawn,
        "pairs": {**drawn, "n": 2},
        "the rows in another order": {"train": train[::-1], "test": test[::-1], "n": 3},
        "longer than any row": {**drawn, "n": 16},
    }
