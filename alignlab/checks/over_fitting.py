"""Check of chapter 2: over-fitting, where the training examples can be counted.

Shapes: N prompts, M possible responses to each. All values are in nats.
"""

import math
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import SEEDS, Case, verify


def memoriser_losses(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``memoriser_losses(counts, truth, smoothing) -> (training loss, loss on new ones)``.

    Raises:
        CheckFailed: one of the two differs.
    """

    def reference(counts, truth, smoothing):
        seen, new = [], []
        for row, true in zip(counts.tolist(), truth.tolist()):
            total = sum(row) + smoothing * len(row)
            for count, p in zip(row, true):
                held = (count + smoothing) / total
                nats = -math.log(held) if held else math.inf
                seen += [count * nats] if count else []
                new += [p * nats] if p else []
        values = math.fsum(seen) / int(counts.sum()), math.fsum(new) / len(counts)
        return tuple(torch.tensor(value, dtype=torch.float64) for value in values)

    by_hand = {
        "counts": torch.tensor([[3, 1]]),
        "truth": torch.tensor([[0.6, 0.4]], dtype=torch.float64),
        "smoothing": 0.0,
    }
    verify(
        "memoriser_losses", answer, reference,
        [Case("two responses, one shown three times and the other once", by_hand)],
        _cases,
        mistakes={
            "the prompts weigh the same in the training loss: every example weighs the same":
                lambda n, p, s: (_by_prompt(n / n.sum(-1, True), _held(n, s)), _new(n, p, s)),
            "new examples weigh by the training examples of their prompt: prompts come equally "
            "often": lambda n, p, s: (_old(n, s), _by_example(p, n, s)),
            "summed over the prompts, not averaged":
                lambda n, p, s: (_old(n, s), _new(n, p, s) * len(n)),
            "the probabilities do not add up to 1: smoothing is added once for each response":
                lambda n, p, s: _both(n, p, (n + s) / (n.sum(-1, True) + s)),
            "smoothing is not used": lambda n, p, s: _both(n, p, _held(n, 0.0)),
            "the wrong way round: the true probabilities are the weights, the model's are in the "
            "logarithm": lambda n, p, s: (_old(n, s), _by_prompt(_held(n, s), p)),
            "this is the floor: the second is the loss of the memoriser, not of the truth":
                lambda n, p, s: (_old(n, s), _by_prompt(p, p)),
            "one model for all prompts: each prompt has its own examples":
                lambda n, p, s: _both(n, p, _held(n.sum(0, True).expand_as(n), s)),
            "0 times infinity: what never comes adds nothing":
                lambda n, p, s: ((-n * _held(n, s).log()).sum() / n.sum(),
                                 (-p * _held(n, s).log()).sum() / len(n)),
            "bits, not nats: the logarithm has base 2":
                lambda n, p, s: tuple(x / math.log(2) for x in _both(n, p, _held(n, s))),
        },
        seeds=seeds,
    )  # fmt: skip


def _held(counts, smoothing):
    """Return the probabilities that the memoriser holds, ``(N, M)``."""
    smoothed = counts.double() + smoothing
    return smoothed / smoothed.sum(-1, keepdim=True)


def _by_prompt(weights, q):
    """Return the cross-entropy, averaged over prompts."""
    return -torch.where(weights > 0, weights * q.log(), 0.0).sum(-1).mean()


def _by_count(counts, q):
    """Return the cross-entropy, averaged over training examples."""
    return -torch.where(counts > 0, counts * q.log(), 0.0).sum() / counts.sum()


def _both(counts, truth, q):
    return _by_count(counts, q), _by_prompt(truth, q)


def _old(counts, smoothing):
    return _by_count(counts, _held(counts, smoothing))


def _new(counts, truth, smoothing):
    return _by_prompt(truth, _held(counts, smoothing))


def _by_example(truth, counts, smoothing):
    shares = counts.sum(-1) / counts.sum()
    q = _held(counts, smoothing)
    return -(shares * torch.where(truth > 0, truth * q.log(), 0.0).sum(-1)).sum()


def _cases(generator: torch.Generator) -> dict[str, dict]:
    counts = torch.randint(0, 7, (4, 5), generator=generator)
    counts[0, 0], counts[1, 3], counts[2, 1], counts[3, 4] = 2, 9, 5, 20
    counts[0, 1:4], counts[2, 0] = 0, 0
    truth = torch.randn(4, 5, generator=generator, dtype=torch.float64).softmax(-1)
    never = torch.where(counts > 0, truth, 0.0)
    never = never / never.sum(-1, keepdim=True)
    rows, columns = (torch.randperm(n, generator=generator) for n in (4, 5))
    drawn = {"counts": counts, "truth": truth, "smoothing": 0.5}
    return {
        "four prompts of five responses": drawn,
        "the same in another order": {
            "counts": counts[rows][:, columns], "truth": truth[rows][:, columns], "smoothing": 0.5
        },
        "responses never seen that come, no smoothing": {**drawn, "smoothing": 0.0},
        "responses never seen that never come, no smoothing": {
            **drawn, "truth": never, "smoothing": 0.0
        },
        "much smoothing": {**drawn, "smoothing": 1000},
        "responses that are certain": {
            **drawn, "truth": torch.eye(5, dtype=torch.float64)[[0, 3, 1, 4]]
        },
    }  # fmt: skip
