"""Checks of chapter 3: mixtures of tasks, and what a fine-tuned model still does elsewhere.

Shapes: K tasks or sizes.
"""

import math
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import SEEDS, Case, verify


def mixture_epochs(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``mixture_epochs(sizes, temperature, rows) -> (shares, epochs)``, ``(K,)`` each.

    Raises:
        CheckFailed: not the shares in proportion to sizes to the power of 1/temperature (Raffel et
            al. 2020, "Exploring the limits of transfer learning", section 3.5.2), or the epochs.
    """

    def mixed(sizes, shares, rows):
        return shares, rows * shares / sizes

    def reference(sizes, temperature, rows):
        weights = [size ** (1 / temperature) for size in sizes.tolist()]
        shares = torch.tensor([weight / math.fsum(weights) for weight in weights],
                              dtype=torch.float64)  # fmt: skip
        return mixed(sizes, shares, rows)

    def plain(sizes, power):
        weights = sizes.double() ** power
        return weights / weights.sum()

    by_hand = {"sizes": torch.tensor([100, 400]), "temperature": 2.0, "rows": 300}
    verify(
        "mixture_epochs", answer, reference, [Case("two tasks, one four times as large", by_hand)],
        _tasks,
        mistakes={
            "the power is 1/temperature, not the temperature":
                lambda n, t, rows: mixed(n, plain(n, t), rows),
            "a softmax: the sizes themselves are raised to a power, not e":
                lambda n, t, rows: mixed(n, (n / t).double().softmax(0), rows),
            "the temperature is not used": lambda n, t, rows: mixed(n, plain(n, 1), rows),
            "all tasks alike, as an infinite temperature would have it":
                lambda n, t, rows: mixed(n, plain(n, 0), rows),
            "the shares do not add up to 1": lambda n, t, rows: mixed(
                n, n.double() ** (1 / t) / n.sum(), rows),
            "rows, not epochs: divide by the task's size":
                lambda n, t, rows: (plain(n, 1 / t), rows * plain(n, 1 / t)),
            "epochs upside down: rows that are drawn, for each row that there is":
                lambda n, t, rows: (plain(n, 1 / t), n / (rows * plain(n, 1 / t))),
            "as many epochs for each task: a small one is repeated more often":
                lambda n, t, rows: (plain(n, 1 / t), (rows / n.sum()).expand(len(n))),
        },
        seeds=seeds,
    )  # fmt: skip


def _tasks(generator: torch.Generator) -> dict[str, dict]:
    sizes = torch.randint(20, 3000, (5,), generator=generator)
    order = torch.randperm(5, generator=generator)
    return {
        "five tasks": {"sizes": sizes, "temperature": 2.5, "rows": 4000},
        "the same in another order": {"sizes": sizes[order], "temperature": 2.5, "rows": 4000},
        "temperature 1": {"sizes": sizes, "temperature": 1.0, "rows": 700},
        "a high temperature": {"sizes": sizes, "temperature": 50.0, "rows": 700},
        "a temperature below 1": {"sizes": sizes, "temperature": 0.4, "rows": 700},
        "sizes of hundreds of millions": {
            "sizes": sizes * 1_000_000, "temperature": 3.0, "rows": 10**9
        },
    }  # fmt: skip


def forgetting(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``forgetting(scores) -> (final, forgotten)`` for tasks learned in turn, ``(K, K)``.

    Raises:
        CheckFailed: not the mean score after the last task, or not the mean forgetting of Chaudhry
            et al. (2018), "Riemannian walk for incremental learning".
    """

    def reference(scores):
        *earlier, last = scores.tolist()
        lost = [max(row[task] for row in earlier) - last[task] for task in range(len(earlier))]
        return math.fsum(last) / len(last), math.fsum(lost) / len(lost)

    def other(best):
        return lambda scores: (scores[-1].mean(), best(scores))

    verify(
        "forgetting", answer, reference,
        [
            Case(
                "three tasks, the first one half forgotten",
                {"scores": torch.tensor([[0.8, 0.1, 0.0], [0.6, 0.9, 0.2], [0.4, 0.7, 0.9]],
                                        dtype=torch.float64)},
            )
        ],
        _scores,
        mistakes={
            "from the score right after the task was learned: the best one before the last "
            "stage counts": other(lambda r: (r.diagonal() - r[-1])[:-1].mean()),
            "the last stage is among the best: a task that got better was forgotten by less than 0":
                other(lambda r: (r.amax(0) - r[-1])[:-1].mean()),
            "the last task has not had time to be forgotten":
                other(lambda r: (r[:-1].amax(0) - r[-1]).mean()),
            "gained, not lost: the sign": other(lambda r: (r[-1] - r[:-1].amax(0))[:-1].mean()),
            "summed over the tasks": other(lambda r: (r[:-1].amax(0) - r[-1])[:-1].sum()),
            "rows are stages and columns tasks, not the reverse": lambda r: reference(r.T),
            "the mean over all stages: the first is about the last one":
                lambda r: (r.mean(), reference(r)[1]),
            "the mean of each task when it was new": lambda r: (
                r.diagonal().mean(), reference(r)[1]),
            "from the first stage: the best one before the last counts":
                other(lambda r: (r[0] - r[-1])[:-1].mean()),
        },
        seeds=seeds,
    )  # fmt: skip


def _scores(generator: torch.Generator) -> dict[str, dict]:
    drawn = torch.rand(5, 5, generator=generator, dtype=torch.float64)
    better = drawn.clone()
    better[-1, 1] = 1.5  # above all before
    return {
        "five tasks": {"scores": drawn},
        "a task that the later ones helped": {"scores": better},
        "two tasks": {"scores": drawn[:2, :2]},
        "in per cent": {"scores": 100 * drawn},
        "nothing forgotten": {"scores": torch.full((3, 3), 0.7, dtype=torch.float64)},
    }


def power_law(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``power_law(sizes, losses, floor) -> (a, b)`` of ``loss = floor + a * size ** -b``.

    Raises:
        CheckFailed: not the least-squares line through the logarithms, as in Hestness et al.
            (2017), "Deep learning scaling is predictable, empirically".
    """

    def line(x, y):
        slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
        return y.mean() - slope * x.mean(), slope

    def fitted(sizes, losses, floor, forward=torch.log, back=torch.exp):
        start, slope = line(forward(sizes.double()), forward(losses - floor))
        return back(start), -slope

    def reference(sizes, losses, floor):
        rows = torch.stack([torch.ones(len(sizes)).double(), -sizes.double().log()], 1)
        found = torch.linalg.lstsq(rows, (losses - floor).log()[:, None]).solution[:, 0]
        return found[0].exp(), found[1]

    def ends(sizes, losses, floor):
        n, y = sizes.double().log(), (losses - floor).log()
        b = (y[0] - y[-1]) / (n[-1] - n[0])
        return (y[0] + b * n[0]).exp(), b

    def turned(sizes, losses, floor):
        start, slope = line((losses - floor).log(), sizes.double().log())
        return (-start / slope).exp(), -1 / slope

    by_hand = {
        "sizes": torch.tensor([1, 100]),
        "losses": torch.tensor([4.5, 0.9], dtype=torch.float64),
        "floor": 0.5,
    }
    verify(
        "power_law", answer, reference,
        [Case("two points, floor 0.5: above it the loss falls to a tenth", by_hand)], _losses,
        mistakes={
            "the floor is taken off before the logarithm": lambda n, y, f: fitted(n, y, 0.0),
            "b is the slope with its sign turned: the loss falls": lambda n, y, f: (
                fitted(n, y, f)[0], -fitted(n, y, f)[1]),
            "the line gives log a: take the exponential": lambda n, y, f: fitted(
                n, y, f, back=lambda x: x),
            "10 to the power of a natural logarithm": lambda n, y, f: fitted(
                n, y, f, back=lambda x: 10**x),
            "logarithms of one axis only": lambda n, y, f: (
                line(n.double(), (y - f).log())[0].exp(), -line(n.double(), (y - f).log())[1]),
            "through the first point and the last: all points count": ends,
            "sizes fitted to losses: the errors are the losses'": turned,
            "the floor is added, not taken off": lambda n, y, f: fitted(n, y, -f),
        },
        seeds=seeds,
    )  # fmt: skip


def _losses(generator: torch.Generator) -> dict[str, dict]:
    sizes = torch.randint(3, 60, (7,), generator=generator).cumsum(0) ** 2
    noise = 0.3 * torch.randn(7, generator=generator, dtype=torch.float64)
    losses = 0.8 + 5 * sizes.double() ** -0.4 * noise.exp()
    order = torch.randperm(7, generator=generator)
    drawn = {"sizes": sizes, "losses": losses, "floor": 0.8}
    return {
        "seven points that scatter": drawn,
        "the same in another order": {**drawn, "sizes": sizes[order], "losses": losses[order]},
        "another floor": {**drawn, "floor": 0.3},
        "no floor": {**drawn, "floor": 0.0},
        "a thousand times as many examples": {**drawn, "sizes": 1000 * sizes},
    }
