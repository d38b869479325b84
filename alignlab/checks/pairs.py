"""Checks of chapter 6: the loss of DPO, its gradient, and its kin for labels that may be wrong.

Shapes: B pairs of responses. All log-probabilities are in nats.
"""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F

from alignlab.checks.common import SEEDS, Case, verify

STEP = 1e-4  # of the log-probabilities, for central differences
POLICY = ["policy_chosen_logps", "policy_rejected_logps"]
LOGPS = [*POLICY, "ref_chosen_logps", "ref_rejected_logps"]
EXCHANGED = [1, 0, 3, 2]  # the places of chosen and rejected, changed over


def _h(chosen, rejected, ref_chosen, ref_rejected):
    return (chosen - ref_chosen) - (rejected - ref_rejected)


def _by_hand() -> list[Case]:
    def pair(*logps: float, beta: float) -> dict:
        values = [torch.tensor([x], dtype=torch.float64) for x in logps]
        return dict(zip(LOGPS, values)) | {"beta": beta}

    return [
        Case("a chosen response that has gained 2 nats, and a rejected one that has lost 1",
             pair(-1.0, -5.0, -3.0, -4.0, beta=0.5)),
        Case("a pair on which policy and reference agree", pair(-3.0, -4.0, -3.0, -4.0, beta=0.1)),
    ]  # fmt: skip


def dpo_loss(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``dpo_loss`` of the log-probabilities of B pairs, in the order of ``LOGPS``, and beta.

    Raises:
        CheckFailed: a loss of a pair, ``(B,)``, or its gradient in the policy's log-probabilities
            differs from Rafailov et al. (2023), "Direct preference optimization", equation 7.
    """

    def reference(chosen, rejected, ref_chosen, ref_rejected, beta):
        return F.softplus(-beta * _h(chosen, rejected, ref_chosen, ref_rejected))

    def of(margin):
        return lambda c, r, rc, rr, b: -F.logsigmoid(margin(c, r, rc, rr, b))

    verify(
        "dpo_loss", answer, reference, _by_hand(),
        _pairs,
        mistakes={
            "h has the wrong sign: chosen and rejected are exchanged, or policy and reference":
                of(lambda *x: -x[4] * _h(*x[:4])),
            "beta is missing": of(lambda *x: _h(*x[:4])),
            "divided by beta, not multiplied": of(lambda *x: _h(*x[:4]) / x[4]),
            "the reference is missing": of(lambda c, r, rc, rr, b: b * (c - r)),
            "the reference is added, not taken off":
                of(lambda c, r, rc, rr, b: b * (c - r + rc - rr)),
            "beta weighs the policy alone: it multiplies the whole difference":
                of(lambda c, r, rc, rr, b: b * (c - r) - (rc - rr)),
            "the sign: this is the log-probability of the choice, the loss is minus it":
                lambda *x: -reference(*x),
            "the probability of the choice: the logarithm is missing":
                lambda *x: -torch.sigmoid(x[4] * _h(*x[:4])),
            "log(sigmoid): a probability too small for a number becomes 0, its logarithm infinite":
                lambda *x: -torch.sigmoid(x[4] * _h(*x[:4])).log(),
            "one number for the batch: a loss for each pair is wanted":
                lambda *x: reference(*x).mean(),
        },
        gradients=POLICY, seeds=seeds,
    )  # fmt: skip


def _pairs(generator: torch.Generator) -> dict[str, dict]:
    def logps():
        return -20 * torch.rand(5, generator=generator, dtype=torch.float64) - 1

    drawn = dict(zip(LOGPS, (logps() for _ in LOGPS)))
    drawn["policy_chosen_logps"][0] = drawn["policy_rejected_logps"][0] + 9.0
    order = torch.randperm(5, generator=generator)
    shift = torch.tensor([-40.0, -1.0, 0.0, 3.0, 7.0], dtype=torch.float64)
    far = 1e4 * torch.tensor([-1.0, 1.0, -1.0, 1.0, 0.0], dtype=torch.float64)
    return {
        "five pairs": {**drawn, "beta": 0.3},
        "the same in another order": {k: x[order] for k, x in drawn.items()} | {"beta": 0.3},
        "chosen and rejected changed over":
            dict(zip(LOGPS, (drawn[LOGPS[i]] for i in EXCHANGED))) | {"beta": 0.3},
        "policy and reference shifted together, each response by its own amount": {
            name: x + (shift if "chosen" in name else -shift) for name, x in drawn.items()
        } | {"beta": 0.3},
        "a small beta": {**drawn, "beta": 0.01},
        "a policy 10,000 nats away from its reference": {
            **drawn, "policy_chosen_logps": drawn["ref_chosen_logps"] + far, "beta": 0.3
        },
    }  # fmt: skip


def dpo_gradient(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``dpo_gradient(...) -> (chosen, rejected)``, with the arguments of ``dpo_loss``.

    Raises:
        CheckFailed: not the derivatives of the mean loss of B pairs, ``(B,)`` each; they are
            compared with central differences of it.
    """

    def other(weight, sign=-1.0):
        def found(c, r, rc, rr, b):
            slope = sign * weight(_h(c, r, rc, rr), b, len(c))
            return slope, -slope

        return found

    right = other(lambda h, b, n: b * torch.sigmoid(-b * h) / n)
    verify(
        "dpo_gradient", answer, _central_differences, _by_hand(),
        _pairs,
        mistakes={
            "the sign: raising the chosen response's log-probability lowers the loss":
                other(lambda h, b, n: b * torch.sigmoid(-b * h) / n, 1.0),
            "the sum over the pairs: the loss is their mean":
                other(lambda h, b, n: b * torch.sigmoid(-b * h)),
            "beta is missing: it multiplies h, so it stands before the whole":
                other(lambda h, b, n: torch.sigmoid(-b * h) / n),
            "the weight is that of a pair that is right already: it must be large where the "
            "implicit reward is wrong": other(lambda h, b, n: b * torch.sigmoid(b * h) / n),
            "the derivative of the sigmoid, not of its logarithm":
                other(lambda h, b, n: b * torch.sigmoid(b * h) * torch.sigmoid(-b * h) / n),
            "every pair has the weight that it has before the first step":
                other(lambda h, b, n: torch.full_like(h, b / 2 / n)),
            "both log-probabilities are raised: the rejected one has the other sign":
                lambda *x: (right(*x)[0], right(*x)[0]),
            "the rejected response has a gradient too": lambda *x: (right(*x)[0], 0 * right(*x)[0]),
            "the reference is missing":
                lambda c, r, rc, rr, b: right(c, r, torch.zeros_like(c), torch.zeros_like(c), b),
        },
        seeds=seeds,
    )  # fmt: skip


def _central_differences(chosen, rejected, ref_chosen, ref_rejected, beta):
    logps = torch.stack([chosen, rejected])

    def loss(changed):
        return F.softplus(-beta * _h(*changed, ref_chosen, ref_rejected)).mean()

    slopes = torch.empty_like(logps)
    for place in range(logps.numel()):
        step = torch.zeros(logps.numel(), dtype=torch.float64)
        step[place] = STEP
        step = step.reshape(logps.shape)
        slopes.view(-1)[place] = (loss(logps + step) - loss(logps - step)) / (2 * STEP)
    return tuple(slopes)


def robust_losses(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``robust_losses(h, beta, flipped) -> (conservative, robust)``, ``(B,)`` each.

    Raises:
        CheckFailed: a loss, or its gradient in h, differs from Mitchell (2023), "A note on DPO with
            noisy preferences", or Chowdhury et al. (2024), "Provably robust DPO".
    """

    def reference(h, beta, flipped):
        kept, turned = F.softplus(-beta * h), F.softplus(beta * h)
        conservative = (1 - flipped) * kept + flipped * turned
        robust = ((1 - flipped) * kept - flipped * turned) / (1 - 2 * flipped)
        return conservative, robust

    def first(value):
        return lambda *x: (value(*x), reference(*x)[1])

    def second(value):
        return lambda *x: (reference(*x)[0], value(*x))

    def loss(h, b):
        return F.softplus(-b * h)

    by_hand = {"h": torch.tensor([2.0, -4.0], dtype=torch.float64), "beta": 0.5, "flipped": 0.25}
    verify(
        "robust_losses", answer, reference, [Case("two pairs, a quarter flipped", by_hand)],
        _margins,
        mistakes={
            "reversed: a positive h agrees with the label, and most labels are kept":
                lambda h, b, f: reference(-h, b, f),
            "the robust loss is divided by 1 - 2 times the share of flipped labels":
                second(lambda h, b, f: reference(h, b, f)[1] * (1 - 2 * f)),
            "the robust loss takes the other label's loss off, it does not add it":
                second(lambda h, b, f: reference(h, b, f)[0] / (1 - 2 * f)),
            "the conservative loss is not divided":
                first(lambda h, b, f: reference(h, b, f)[0] / (1 - 2 * f)),
            "the conservative loss adds the other label's loss, it does not take it off":
                first(lambda h, b, f: (1 - f) * loss(h, b) - f * loss(-h, b)),
            "the conservative loss is a mean of two losses, not the loss of a mean":
                first(lambda h, b, f: loss((1 - 2 * f) * h, b)),
            "beta is missing": lambda h, b, f: reference(h, 1.0, f),
            "the share of flipped labels is not used": lambda h, b, f: reference(h, b, 0.0),
            "1 minus the loss is not the loss of the other label":
                lambda h, b, f: ((1 - f) * loss(h, b) + f * (1 - loss(h, b)),
                                 ((1 - f) * loss(h, b) - f * (1 - loss(h, b))) / (1 - 2 * f)),
        },
        gradients=["h"], seeds=seeds,
    )  # fmt: skip


def _margins(generator: torch.Generator) -> dict[str, dict]:
    h = 6 * torch.randn(7, generator=generator, dtype=torch.float64)
    h[0] = 9.0
    order = torch.randperm(7, generator=generator)
    return {
        "seven pairs": {"h": h, "beta": 0.4, "flipped": 0.2},
        "the same in another order": {"h": h[order], "beta": 0.4, "flipped": 0.2},
        "the other label": {"h": -h, "beta": 0.4, "flipped": 0.2},
        "no label flipped": {"h": h, "beta": 0.4, "flipped": 0.0},
        "nearly half of them": {"h": h, "beta": 0.4, "flipped": 0.45},
        "10,000 nats": {"h": 1e4 * h.sign(), "beta": 0.4, "flipped": 0.2},
    }
