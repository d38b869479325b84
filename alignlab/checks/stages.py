"""Checks of chapter 7: what each of two stages does, and how far it carries.

Shapes: n prompts; in ``transfer_share`` a second set of m.
"""

import math
import statistics
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import SEEDS, Case, verify

MODELS = ("neither", "sft", "dpo", "both")


def _error(values: torch.Tensor) -> torch.Tensor:
    return values.std() / math.sqrt(len(values))


def stage_effects(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``stage_effects(neither, sft, dpo, both)`` of the scores ``(n,)`` of four models.

    It gives the main effects of SFT and of DPO, their interaction and its standard error.

    Raises:
        CheckFailed: one of the four differs from the contrasts of a two-by-two design, taken
            prompt by prompt.
    """

    def reference(neither, sft, dpo, both):
        rows = list(zip(*(scores.tolist() for scores in (neither, sft, dpo, both))))
        of_sft = [(s + b - o - d) / 2 for o, s, d, b in rows]
        of_dpo = [(d + b - o - s) / 2 for o, s, d, b in rows]
        gaps = [(b - s) - (d - o) for o, s, d, b in rows]
        means = (math.fsum(values) / len(rows) for values in (of_sft, of_dpo, gaps))
        return *means, statistics.stdev(gaps) / math.sqrt(len(rows))

    def gaps(o, s, d, b):
        return b - s - d + o

    def main(first, second):
        return lambda *x: (first(*x).mean(), second(*x).mean(), *reference(*x)[2:])

    def joint(values):
        return lambda *x: (*reference(*x)[:2], values(*x).mean(), _error(values(*x)))

    def error(value):
        return lambda *x: (*reference(*x)[:3], value(*x))

    values = [[0.0, 1.0, 2.0], [3.0, 2.0, 7.0], [1.0, 3.0, 2.0], [9.0, 5.0, 8.0]]
    by_hand = {name: torch.tensor(row, dtype=torch.float64) for name, row in zip(MODELS, values)}
    verify(
        "stage_effects", answer, reference, [Case("three prompts", by_hand)], _models,
        mistakes={
            "each stage's effect without the other: a main effect is the mean of this and the "
            "effect with it": main(lambda o, s, d, b: s - o, lambda o, s, d, b: d - o),
            "each stage's effect after the other: a main effect is the mean of this and the "
            "effect without it": main(lambda o, s, d, b: b - d, lambda o, s, d, b: b - s),
            "a main effect is the mean of two differences, not their sum":
                main(lambda o, s, d, b: s - o + b - d, lambda o, s, d, b: d - o + b - s),
            "the effects of SFT and DPO are exchanged":
                lambda o, s, d, b: reference(o, d, s, b),
            "the interaction's sign: it is above 0 where DPO does more after SFT than without":
                joint(lambda *x: -gaps(*x)),
            "the interaction is not halved: it is the difference between two effects":
                joint(lambda *x: gaps(*x) / 2),
            "what both stages gain together: the interaction is what is left when the two single "
            "gains are taken off": joint(lambda o, s, d, b: b - o),
            "how far both beat the better single stage is not the interaction":
                joint(lambda o, s, d, b: b - torch.maximum(s, d)),
            "the error as if each model had prompts of its own: combine the four scores of a "
            "prompt first": error(lambda *x: (sum(y.var() for y in x) / len(x[0])).sqrt()),
            "the spread of single prompts: the error of a mean is smaller by the root of n":
                error(lambda *x: gaps(*x).std()),
            "divided by n, not by its root": error(lambda *x: gaps(*x).std() / len(x[0])),
            "the standard deviation has n - 1 in its denominator, not n":
                error(lambda *x: gaps(*x).std(correction=0) / math.sqrt(len(x[0]))),
        },
        seeds=seeds,
    )  # fmt: skip


def _models(generator: torch.Generator) -> dict[str, dict]:
    # Eighths, so that scores without an interaction have none to the last bit.
    easy, *gains = (torch.randint(0, 24, (4, 23), generator=generator) / 8).double()
    neither, sft, dpo = easy, easy + gains[0], easy + gains[1] - 1
    scores = dict(zip(MODELS, (neither, sft, dpo, sft + gains[2])))
    order = torch.randperm(23, generator=generator)
    return {
        "23 prompts": scores,
        "the same in another order": {name: x[order] for name, x in scores.items()},
        "prompts on which all models score more, each by its own amount":
            {name: x + 16 * easy for name, x in scores.items()},
        "two stages that do not depend on each other": {**scores, "both": sft + dpo - neither},
        "scores in the ten thousands": {name: 1e4 * x for name, x in scores.items()},
        "two prompts": {name: x[:2] for name, x in scores.items()},
    }  # fmt: skip


def transfer_share(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``transfer_share(near, far) -> (share, error)`` of the wins, ``(n,)`` and ``(m,)``.

    Raises:
        CheckFailed: not the far gain over the near one, or not its standard error to first order
            (the delta method), for two independent sets of prompts.
    """

    def reference(near, far):
        near, far = near.tolist(), far.tolist()
        gain, other = (math.fsum(wins) / len(wins) - 0.5 for wins in (near, far))
        share = other / gain
        # How much each prompt, on its own, moves the share.
        moves = [-share * (win - 0.5 - gain) / gain for win in near]
        others = [(win - 0.5 - other) / gain for win in far]
        squares = (math.fsum(x * x for x in m) / (len(m) * (len(m) - 1)) for m in (moves, others))
        return share, math.sqrt(math.fsum(squares))

    def gains(near, far):
        return near.mean() - 0.5, far.mean() - 0.5

    def error(value):
        def found(near, far):
            parts = *gains(near, far), _error(near), _error(far)
            return reference(near, far)[0], value(*parts)

        return found

    def both(change):
        return lambda near, far: reference(*change(near, far))

    by_hand = {
        "near": torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64),
        "far": torch.tensor([1.0, 0.5, 0.5, 1.0, 0.0], dtype=torch.float64),
    }
    verify(
        "transfer_share", answer, reference,
        [Case("four prompts like those compared and five unlike them", by_hand)], _wins,
        mistakes={
            "the ratio of two win rates: a half is no gain, so it is taken off each of them":
                lambda near, far: (
                    far.mean() / near.mean(),
                    ((_error(far) / near.mean())**2
                     + (far.mean() * _error(near) / near.mean()**2)**2).sqrt()),
            "upside down: the far gain is divided by the near one":
                lambda near, far: reference(far, near),
            "the difference of the two gains: how much is lost, not which share is kept":
                lambda near, far: (far.mean() - near.mean(),
                                   (_error(near)**2 + _error(far)**2).sqrt()),
            "the near gain is measured too: its error counts":
                error(lambda a, b, e, f: f / a),
            "the far gain is measured too: its error counts":
                error(lambda a, b, e, f: (b / a).abs() * e / a),
            "an error of the near gain moves the share by the share itself times as much":
                error(lambda a, b, e, f: (e**2 + f**2).sqrt() / a),
            "the error is divided by the near gain, as the share is":
                error(lambda a, b, e, f: ((b / a * e)**2 + f**2).sqrt()),
            "independent errors add up in their squares": error(
                lambda a, b, e, f: (f + (b / a).abs() * e) / a),
            "the squares of independent errors are added, not taken off": error(
                lambda a, b, e, f: (f**2 - (b / a * e)**2).abs().sqrt() / a),
            "relative errors: this divides by the far gain, which may be 0 or below it":
                error(lambda a, b, e, f: b / a * ((e / a)**2 + (f / b)**2).sqrt()),
            "the variance: take its root": error(
                lambda a, b, e, f: ((b / a * e)**2 + f**2) / a**2),
            "the spread of single prompts: the errors of means are smaller": lambda near, far: (
                reference(near, far)[0],
                ((far.std() / (near.mean() - 0.5))**2
                 + (reference(near, far)[0] * near.std() / (near.mean() - 0.5))**2).sqrt()),
            "a tie counts as half a win, not as none":
                both(lambda near, far: ((near == 1).double(), (far == 1).double())),
        },
        seeds=seeds,
    )  # fmt: skip


def _wins(generator: torch.Generator) -> dict[str, dict]:
    near, far = (torch.randint(0, 3, (n,), generator=generator).double() / 2 for n in (37, 20))
    near[:23], far[:5] = 1.0, 1.0
    orders = [torch.randperm(n, generator=generator) for n in (37, 20)]
    return {
        "37 prompts like those compared, and 20 unlike them": {"near": near, "far": far},
        "the same in another order": {"near": near[orders[0]], "far": far[orders[1]]},
        "prompts on which the trained model loses":
            {"near": near, "far": torch.where(far == 1, 0.0, far)},
        "nothing carries over": {"near": near, "far": torch.cat([far, 1 - far])},
        "a model that wins on every prompt like those compared":
            {"near": torch.ones_like(near), "far": far},
        "more of the prompts unlike them": {"near": near, "far": far.repeat(5)},
    }  # fmt: skip
