"""Checks of chapter 6: how probable whole responses are, and what becomes of them in training.

Shapes: B rows of T tokens, V words of the vocabulary; N pairs of responses.
"""

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F

from alignlab.checks.common import SEEDS, Case, verify
from alignlab.checks.values import logits_for


def sequence_logprobs(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``sequence_logprobs(logits, input_ids, completion_mask) -> logps``, ``(B,)``, in nats.

    Raises:
        CheckFailed: not the sum of the completion's log-probabilities, or another gradient.
    """

    def reference(logits, input_ids, completion_mask):
        sums = []
        for row, ids, mask in zip(logits, input_ids, completion_mask):
            losses = F.cross_entropy(row[:-1], ids[1:], reduction="none")
            sums.append(-losses[mask[1:] == 1].sum())
        return torch.stack(sums)

    def summed(logits, ids, mask, scores=None):
        logprobs = (logits if scores is None else scores).log_softmax(-1)
        found = logprobs.gather(-1, ids[..., None])[..., 0]
        return found.where(mask == 1, 0.0).sum(-1)

    def shifted(logits, ids, mask):
        return summed(logits[:, :-1], ids[:, 1:], mask[:, 1:])

    def counted(mask):
        return mask[:, 1:].sum(-1).clamp(min=1)

    def spread(logits, ids, mask):
        logprobs = logits[:, :-1].log_softmax(-1)
        return (logprobs.gather(-1, ids[:, 1:, None])[..., 0] * mask[:, 1:]).sum(-1)

    log3 = math.log(3)
    by_hand = {
        "logits": torch.tensor([[[0, 0], [log3, 0], [log3, 0], [0, 0]]], dtype=torch.float64),
        "input_ids": torch.tensor([[1, 1, 0, 1]]),
        "completion_mask": torch.tensor([[0, 0, 1, 1]]),
    }
    verify(
        "sequence_logprobs", answer, reference,
        [Case("a completion of two tokens, of probability 3/4 and 1/4", by_hand)], _rows,
        mistakes={
            "the mean over the tokens: DPO needs the probability of the whole response":
                lambda x, i, m: shifted(x, i, m) / counted(m),
            "nothing is shifted: position t is compared with the token that it has just read":
                summed,
            "the mask is not shifted along with the tokens":
                lambda x, i, m: summed(x[:, :-1], i[:, 1:], m[:, :-1]),
            "the prompt is counted, and padding too":
                lambda x, i, m: shifted(x, i, torch.ones_like(m)),
            "the sign: this is the loss, the log-probability is below 0":
                lambda x, i, m: -shifted(x, i, m),
            "one number for the batch: one for each row is wanted":
                lambda x, i, m: shifted(x, i, m).sum(),
            "logits: the normalisation is missing": lambda x, i, m: (
                x[:, :-1].gather(-1, i[:, 1:, None])[..., 0].where(m[:, 1:] == 1, 0.0).sum(-1)),
            "0 times infinity is not a number: choose the positions, do not multiply": spread,
            "log(softmax): a probability too small for a number becomes 0, its logarithm infinite":
                lambda x, i, m: (
                    x[:, :-1].softmax(-1).log().gather(-1, i[:, 1:, None])[..., 0]
                ).where(m[:, 1:] == 1, 0.0).sum(-1),
            "divided by the length of the row": lambda x, i, m: shifted(x, i, m) / x.shape[1],
        },
        gradients=["logits"], seeds=seeds,
    )  # fmt: skip


def _rows(generator: torch.Generator) -> dict[str, dict]:
    logits = logits_for(generator, 3, 6, 5)
    input_ids = torch.randint(0, 5, (3, 6), generator=generator)
    places = torch.arange(6)
    # Completions of 1, 3 and 5 tokens; the first row ends with three tokens of padding.
    starts, ends = torch.tensor([[2], [3], [1]]), torch.tensor([[3], [6], [6]])
    mask = ((places >= starts) & (places < ends)).long()
    rows = {"logits": logits, "input_ids": input_ids, "completion_mask": mask}
    order = torch.randperm(3, generator=generator)
    impossible = logits.clone()
    impossible[0, 4, input_ids[0, 5]] = -math.inf  # the model would never write this padding
    return {
        "completions of 1, 3 and 5 tokens": rows,
        "the same in another order": {name: x[order] for name, x in rows.items()},
        "padded further": {
            "logits": F.pad(logits, (0, 0, 0, 2), value=1.5),
            "input_ids": F.pad(input_ids, (0, 2), value=3),
            "completion_mask": F.pad(mask, (0, 2)),
        },
        "all logits shifted by 100": {**rows, "logits": logits + 100},
        "logits of 1e4 and -1e4": {**rows, "logits": 1e4 * logits.sign()},
        "an impossible token outside the completion": {**rows, "logits": impossible},
        "no completion": {**rows, "completion_mask": torch.zeros_like(mask)},
    }


def displacement(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``displacement(chosen_before, chosen_after, rejected_before, rejected_after)``.

    It gives two numbers for N pairs: the share that was learned and the share of these displaced.

    Raises:
        CheckFailed: a share differs. A pair is learned if the difference of its log-probabilities
            rose, and displaced if the chosen response's own fell all the same (Razin et al. 2024,
            "Unintentional unalignment").
    """

    def reference(chosen_before, chosen_after, rejected_before, rejected_after):
        rows = zip(chosen_before.tolist(), chosen_after.tolist(),
                   rejected_before.tolist(), rejected_after.tolist())  # fmt: skip
        learned = [(c0, c1) for c0, c1, r0, r1 in rows if c1 - r1 > c0 - r0]
        lost = sum(after < before for before, after in learned)
        return len(learned) / len(chosen_before), lost / len(learned) if learned else 0.0

    def rose(c0, c1, r0, r1):
        return c1 - r1 > c0 - r0

    def other(learned, fell):
        def found(*logps):
            which = learned(*logps)
            shares = which.double().mean(), fell(*logps)[which].double().mean()
            return shares[0], shares[1].nan_to_num(0.0)

        return found

    def fell(c0, c1, r0, r1):
        return c1 < c0

    def of_all(c0, c1, r0, r1):
        both = rose(c0, c1, r0, r1) & fell(c0, c1, r0, r1)
        return rose(c0, c1, r0, r1).double().mean(), both.double().mean()

    def unguarded(*logps):
        which = rose(*logps)
        return which.double().mean(), fell(*logps)[which].double().mean()

    names = ("chosen_before", "chosen_after", "rejected_before", "rejected_after")
    values = [[-1.0, -2.0, -5.0, -2.0, -1.0], [-4.0, -1.0, -1.0, -3.0, -4.0],
              [-2.0, -5.0, -3.0, -1.0, -3.0], [-5.0, -5.0, -5.0, -5.0, -5.0]]  # fmt: skip
    five = {name: torch.tensor(row, dtype=torch.float64) for name, row in zip(names, values)}
    verify(
        "displacement", answer, reference,
        [
            Case("five pairs, of which three were learned", five),
            Case("nothing learned", {name: x[[0, 4]] for name, x in five.items()}),
        ],
        _trained,
        mistakes={
            "displaced, as a share of all pairs: only those learned count": of_all,
            "0 divided by 0 where no pair was learned": unguarded,
            "learned means that the margin rose, not that it is above 0":
                other(lambda c0, c1, r0, r1: c1 > r1, fell),
            "learned means that the margin rose: the chosen response need not":
                other(lambda c0, c1, r0, r1: c1 > c0, fell),
            "learned means that the margin rose, not that the rejected response fell":
                other(lambda c0, c1, r0, r1: r1 < r0, fell),
            "chosen and rejected are exchanged":
                lambda c0, c1, r0, r1: reference(r0, r1, c0, c1),
            "before and after are exchanged": lambda c0, c1, r0, r1: reference(c1, c0, r1, r0),
            "displaced means that the chosen response fell, not the rejected one":
                other(rose, lambda c0, c1, r0, r1: r1 < r0),
            "a margin that stayed the same has not been learned":
                other(lambda c0, c1, r0, r1: c1 - r1 >= c0 - r0, fell),
            "displaced is a share, not the mean of what was lost": lambda *x: (
                reference(*x)[0], (x[0] - x[1])[rose(*x)].mean().nan_to_num(0.0)),
        },
        seeds=seeds,
    )  # fmt: skip


def _trained(generator: torch.Generator) -> dict[str, dict]:
    # Quarters, so that a margin that stays the same does so exactly.
    chosen_before, rejected_before, gain, loss = (
        torch.randint(0, 40, (43,), generator=generator).double() / 4 for _ in range(4)
    )
    gain, loss = gain - 6, loss - 3
    gain[:3], loss[:3] = -1.0, torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    pairs = {
        "chosen_before": -10 - chosen_before,
        "chosen_after": -10 - chosen_before + gain,
        "rejected_before": -10 - rejected_before,
        "rejected_after": -10 - rejected_before - loss,
    }
    order = torch.randperm(43, generator=generator)
    return {
        "43 pairs": pairs,
        "the same in another order": {name: x[order] for name, x in pairs.items()},
        "seven pairs": {name: x[:7] for name, x in pairs.items()},
        "no step was taken": {
            name: pairs[name.replace("after", "before")] for name in pairs
        },
    }  # fmt: skip
