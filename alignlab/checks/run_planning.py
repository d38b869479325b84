"""Checks of chapter 5: what a run needs in memory, and how far it should go.

Shapes: N policies, measured on the way from the first.
"""

import math
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import SEEDS, Case, verify

GIB = 2**30
# The models of each way of training, in the order in which the exercise asks for them.
MODELS = (
    ("policy",),
    ("policy", "reference"),
    ("policy", "reference", "reward"),
    ("policy", "reference", "reward", "value"),
)


def memory_gib(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``memory_gib(parameters, adapters, frozen_bytes, trained_bytes) -> (4,)``.

    Raises:
        CheckFailed: not the GiB of SFT, DPO, and RLHF without and with a value model, by the
            exercise's conventions.
    """

    def reference(parameters, adapters, frozen_bytes, trained_bytes):
        totals = []
        for models in MODELS:
            size = 0
            for model in models:
                trained = model in ("policy", "value")
                if model == "reference" and adapters:
                    continue
                size += parameters * (trained_bytes if trained and not adapters else frozen_bytes)
                size += adapters * trained_bytes if trained else 0
            totals.append(size / GIB)
        return torch.tensor(totals, dtype=torch.float64)

    def total(policy, reference, reward, value):
        sizes = torch.tensor([policy, reference, reward, value], dtype=torch.float64)
        return sizes.cumsum(0) / GIB

    def other(change):
        def found(p, a, f, t):
            policy = f * p + t * a if a else t * p
            sizes = {"policy": policy, "reference": 0 if a else f * p, "reward": f * p}
            return total(**{**sizes, "value": policy, **change(p, a, f, t)})

        return found

    def no_reference_in_dpo(p, a, f, t):
        found = reference(p, a, f, t)
        found[1] = found[0]
        return found

    def trained(size):
        return other(lambda *x: {"policy": size(*x), "value": size(*x)} if x[1] else {})

    weights = {"parameters": GIB, "frozen_bytes": 2, "trained_bytes": 16}
    names = ("parameters", "adapters", "frozen_bytes", "trained_bytes")

    def case(**changes):
        return {name: {**weights, **changes}[name] for name in names}

    def drawn(generator):
        size = int(torch.randint(1, 70, (), generator=generator)) * 10**9 + 123_456_789
        small = int(torch.randint(1, 300, (), generator=generator)) * 10**6 + 777
        return {
            "full fine-tuning": case(parameters=size, adapters=0),
            "adapters": case(parameters=size, adapters=small),
            "frozen weights of four bits": case(parameters=size, adapters=small, frozen_bytes=0.5),
            "all in 32 bits": case(parameters=size, adapters=0, frozen_bytes=4),
            "adapters, all in 32 bits": case(parameters=size, adapters=small, frozen_bytes=4),
            "an optimiser without states": case(parameters=size, adapters=0, trained_bytes=4),
            "a very small model": case(parameters=1003, adapters=17),
        }

    verify(
        "memory_gib", answer, reference,
        [
            Case("full fine-tuning of 2**30 weights", case(adapters=0)),
            Case("a sixteenth as many weights in adapters", case(adapters=GIB // 16)),
        ],
        drawn,
        mistakes={
            "in units of 10**9 bytes: a GiB has 2**30": lambda *x: reference(*x) * GIB / 1e9,
            "DPO has a reference too": no_reference_in_dpo,
            "two frozen models are kept by RLHF in full fine-tuning, and one with adapters: the "
            "reward model": other(lambda *x: {"reward": 0}),
            "with adapters the reference needs no copy: it is the policy with adapters switched "
            "off": other(lambda p, a, f, t: {"reference": f * p}),
            "the reference is frozen: no gradient, no Adam states":
                other(lambda p, a, f, t: {"reference": 0 if a else t * p}),
            "the reward model is frozen in RLHF: it has been trained before":
                other(lambda p, a, f, t: {"reward": f * p + t * a if a else t * p}),
            "the value model is trained along with the policy":
                other(lambda p, a, f, t: {"value": f * p}),
            "the value model is missing in the last figure": other(lambda *x: {"value": 0}),
            "the weights under the adapters are needed too, frozen":
                trained(lambda p, a, f, t: t * a),
            "the weights under the adapters are frozen: no gradient, no Adam states":
                trained(lambda p, a, f, t: t * (p + a)),
            "the adapters are trained: they need a gradient and Adam states":
                trained(lambda p, a, f, t: f * (p + a)),
            "trained_bytes has the weight itself in it: it is counted twice":
                other(lambda p, a, f, t: dict.fromkeys(
                    ("policy", "value"), f * (p + a) + t * a if a else (f + t) * p)),
        },
        seeds=seeds,
    )  # fmt: skip


def best_stop(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``best_stop(kl, rewards) -> (a, b, stop)`` of N policies, three numbers.

    Raises:
        CheckFailed: a or b is not the least-squares fit of rewards = d (a - b d), d the root of the
            KL divergence (Gao, Schulman and Hilton 2023, "Scaling laws for reward model
            overoptimization", for best-of-n sampling), or stop not the KL divergence at its top.
    """

    def top(a, b):
        if b <= 0:
            return math.inf
        return (a / (2 * b)) ** 2 if a > 0 else 0.0

    def reference(kl, rewards):
        d, y = [math.sqrt(x) for x in kl.tolist()], rewards.tolist()
        s2, s3, s4 = (math.fsum(x**power for x in d) for power in (2, 3, 4))
        y1, y2 = (math.fsum(x**power * r for x, r in zip(d, y)) for power in (1, 2))
        # a s2 - b s3 = y1 and a s3 - b s4 = y2
        a, b = ((y1 * s4 - y2 * s3) / (s2 * s4 - s3**2), (y1 * s3 - y2 * s2) / (s2 * s4 - s3**2))
        return a, b, top(a, b)

    def fitted(d, rewards, *further):
        columns = torch.stack([d, -(d**2), *further], 1)
        a, b, *_ = torch.linalg.lstsq(columns, rewards[:, None]).solution[:, 0].tolist()
        return a, b, top(a, b)

    def other(stop):
        return lambda kl, y: (*reference(kl, y)[:2], stop(*reference(kl, y)[:2], kl, y))

    def ratios(kl, rewards):
        d = kl[kl > 0].sqrt()
        columns = torch.stack([torch.ones_like(d), -d], 1)
        a, b = torch.linalg.lstsq(columns, (rewards[kl > 0] / d)[:, None]).solution[:, 0].tolist()
        return a, b, top(a, b)

    def ends(kl, rewards):
        where = [int(kl.where(kl > 0, math.inf).argmin()), int(kl.argmax())]
        return fitted(kl[where].sqrt(), rewards[where])

    def measured(*found):
        return tuple(torch.tensor(x, dtype=torch.float64) for x in found)

    by_hand = [
        ("two policies: a is 8, b is 2", (1.0, 9.0), (6.0, 6.0)),
        ("a reward that rises without end", (1.0, 4.0), (1.5, 4.0)),
        ("a reward that falls from the start", (4.0, 9.0), (-4.0, -7.5)),
    ]
    verify(
        "best_stop", answer, reference,
        [Case(t, dict(zip(("kl", "rewards"), measured(*found)))) for t, *found in by_hand],
        _optimised,
        mistakes={
            "d is the root of the KL divergence": lambda kl, y: fitted(kl, y),
            "the curve begins at 0: no intercept":
                lambda kl, y: fitted(kl.sqrt(), y, torch.ones_like(kl)),
            "this is d at the top: the KL divergence is its square":
                other(lambda a, b, kl, y: top(a, b) ** 0.5),
            "where the reward is back at 0, not where it is highest":
                other(lambda a, b, kl, y: 4 * top(a, b)),
            "the highest reward, not the KL divergence at which it is reached":
                other(lambda a, b, kl, y: a**2 / (4 * b)),
            "the best policy among those measured, not the top of the curve":
                other(lambda a, b, kl, y: kl[y.argmax()].item()),
            "b has its sign turned: it is taken off":
                lambda kl, y: (reference(kl, y)[0], -reference(kl, y)[1], reference(kl, y)[2]),
            "a and b are exchanged":
                lambda kl, y: (reference(kl, y)[1], reference(kl, y)[0], reference(kl, y)[2]),
            "a line through reward / d: this gives the errors near the start too much weight":
                ratios,
            "through the first policy and the last: all of them count": ends,
            "if b is below 0, the curve rises without end: there is no top":
                other(lambda a, b, kl, y: (a / (2 * b)) ** 2 if a > 0 else 0.0),
            "if a is below 0, the curve is highest at the start: its top lies at a negative d":
                other(lambda a, b, kl, y: (a / (2 * b)) ** 2 if b > 0 else math.inf),
        },
        seeds=seeds,
    )  # fmt: skip


def _optimised(generator: torch.Generator) -> dict[str, dict]:
    kl = 3 * torch.rand(9, generator=generator, dtype=torch.float64).cumsum(0)
    kl[0] = 0.0
    d, noise = kl.sqrt(), 0.1 * torch.randn(9, generator=generator, dtype=torch.float64)
    rewards = d * (2 - 0.35 * d) + noise
    order = torch.randperm(9, generator=generator)
    return {
        "nine policies": {"kl": kl, "rewards": rewards},
        "the same in another order": {"kl": kl[order], "rewards": rewards[order]},
        "without the first": {"kl": kl[1:], "rewards": rewards[1:]},
        "rewards a thousand times as large": {"kl": kl, "rewards": 1000 * rewards},
        "a hundred times as far": {"kl": 100 * kl, "rewards": rewards},
        "a reward that rises without end": {"kl": kl, "rewards": d * (1 + 0.3 * d) + noise},
        "a reward that falls from the start": {"kl": kl, "rewards": -d * (1 + 0.3 * d) + noise},
    }
