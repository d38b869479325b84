"""Check of chapter 2: the gradient of the loss in the logits, against finite differences.

Shapes: B examples, N predicted positions, V words of the vocabulary.
"""

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F

from alignlab.checks.common import SEEDS, Case, verify
from alignlab.checks.values import logits_for
from alignlab.losses import IGNORE

STEP = 1e-4


def logit_gradient(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``logit_gradient(logits, targets) -> gradient`` of the mean loss, ``(B, N, V)``.

    Raises:
        CheckFailed: it is not what central differences of PyTorch's ``cross_entropy`` give.
    """
    by_hand = {
        "logits": torch.tensor([[[math.log(3), 0.0], [0.0, 0.0]]], dtype=torch.float64),
        "targets": torch.tensor([[1, IGNORE]]),
    }
    verify(
        "logit_gradient", answer, _central_differences,
        [Case("probabilities 3/4 and 1/4, the second word demonstrated", by_hand)], _cases,
        mistakes={
            "the sign: this is the gradient of the log-likelihood": lambda x, y: -_slope(x, y),
            "it is not divided by the number of counted positions":
                lambda x, y: _slope(x, y, divisor=1),
            "divided by all positions, also those with target -100":
                lambda x, y: _slope(x, y, divisor=y.numel()),
            "divided by the number of rows, not of counted positions":
                lambda x, y: _slope(x, y, divisor=len(y)),
            "positions with target -100 have a gradient; theirs is 0":
                lambda x, y: _slope(x, y) + _ignored(x, y),
            "the probabilities: the 1 of the demonstrated word is not subtracted":
                lambda x, y: _slope(x, y) + _one_hot(x, y),
            "the softmax runs over positions, not over the vocabulary":
                lambda x, y: _slope(x, y, x.softmax(1)),
            "exp of large logits overflows: subtract the largest, or use softmax":
                lambda x, y: _slope(x, y, x.exp() / x.exp().sum(-1, keepdim=True)),
        },
        seeds=seeds,
    )  # fmt: skip


def _central_differences(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    flat = logits.flatten()

    def loss(values):
        scores = values.reshape(-1, logits.shape[-1])
        return F.cross_entropy(scores, targets.flatten(), ignore_index=IGNORE)

    slopes = []
    for place in range(len(flat)):
        more, less = flat.clone(), flat.clone()
        more[place] += STEP
        less[place] -= STEP
        slopes.append((loss(more) - loss(less)) / (2 * STEP))
    return torch.stack(slopes).reshape(logits.shape)


def _slope(logits, targets, p=None, divisor: int | None = None) -> torch.Tensor:
    p = logits.softmax(-1) if p is None else p
    counted = (targets != IGNORE)[..., None]
    one_hot = F.one_hot(targets.clamp(min=0), logits.shape[-1])
    return (p - one_hot) * counted / (divisor or counted.sum())


def _one_hot(logits, targets) -> torch.Tensor:
    counted = (targets != IGNORE)[..., None]
    return F.one_hot(targets.clamp(min=0), logits.shape[-1]) * counted / counted.sum()


def _ignored(logits, targets) -> torch.Tensor:
    counted = (targets != IGNORE)[..., None]
    return logits.softmax(-1) * ~counted / counted.sum()


def _cases(generator: torch.Generator) -> dict[str, dict]:
    logits = logits_for(generator, 2, 3, 5)
    targets = torch.randint(0, 5, (2, 3), generator=generator)
    targets[0, 1:] = IGNORE
    return {
        "lengths 1 and 3": {"logits": logits, "targets": targets},
        "one token": {"logits": logits[:1], "targets": targets[:1]},
        "all logits shifted by 100": {"logits": logits + 100, "targets": targets},
        "logits of 1e4 and -1e4": {
            "logits": torch.where(logits > 0, 1e4, -1e4).double(), "targets": targets
        },
    }  # fmt: skip
