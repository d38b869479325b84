"""Check of chapter 2: what LoRA adds to a linear layer.

Shapes: N rows, I inputs and O outputs of the layer, r the rank.
"""

import math
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import SEEDS, Case, verify


def lora_linear(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``lora_linear(x, weight, a, b, alpha) -> (outputs, merged)`` and the gradient in ``b``.

    Raises:
        CheckFailed: the outputs, ``(N, O)``, or the merged weight, ``(O, I)``, differ from Hu et
            al. (2022), "LoRA: Low-Rank Adaptation of Large Language Models", equation 3.
    """
    by_hand = {
        "x": torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64),
        "weight": torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64),
        "a": torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64),
        "b": torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64),
        "alpha": 6.0,
    }
    verify(
        "lora_linear", answer, _reference, [Case("three inputs, two outputs, rank 2", by_hand)],
        _cases,
        mistakes={
            "the update is not divided by the rank":
                lambda x, w, a, b, alpha: _layer(x, w, alpha * b @ a),
            "the update is not scaled: alpha is missing, divided by the rank":
                lambda x, w, a, b, alpha: _layer(x, w, b @ a),
            "divided by the root of the rank, which is another method (rank-stabilised LoRA)":
                lambda x, w, a, b, alpha: _layer(x, w, alpha / math.sqrt(len(a)) * b @ a),
            "divided by the number of inputs, not by the rank":
                lambda x, w, a, b, alpha: _layer(x, w, alpha / x.shape[1] * b @ a),
            "the update alone: what the frozen weight gives is missing":
                lambda x, w, a, b, alpha: _layer(x, 0 * w, _update(a, b, alpha)),
            "the frozen weight is scaled too: only the update is":
                lambda x, w, a, b, alpha: _layer(x, alpha / len(a) * w, _update(a, b, alpha)),
            "the update is taken away, not added":
                lambda x, w, a, b, alpha: _layer(x, w, -_update(a, b, alpha)),
            "the update comes twice: the merged weight holds it already": lambda x, w, a, b, alpha:
                (_layer(x, w, 2 * _update(a, b, alpha))[0], w + _update(a, b, alpha)),
            "the outputs are the base model's: the update is only in the merged weight":
                lambda x, w, a, b, alpha: (x @ w.T, w + _update(a, b, alpha)),
        },
        gradients=["b"], seeds=seeds,
    )  # fmt: skip


def _reference(x, weight, a, b, alpha):
    """Return outputs and merged weight, each number summed on its own."""
    rank = len(a)
    steps = (b[:, k, None] * a[None, k, :] for k in range(rank))
    merged = weight + sum(alpha * step / rank for step in steps)
    return torch.stack([(merged * row).sum(-1) for row in x]), merged


def _update(a, b, alpha):
    return alpha / len(a) * b @ a


def _layer(x, weight, update):
    merged = weight + update
    return x @ merged.T, merged


def _cases(generator: torch.Generator) -> dict[str, dict]:
    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, weight, a, b = draw(4, 7), draw(5, 7), draw(3, 7), draw(5, 3)
    drawn = {"x": x, "weight": weight, "a": a, "b": b, "alpha": 16}
    return {
        "seven inputs, five outputs, rank 3": drawn,
        "rank 1": {**drawn, "a": a[:1], "b": b[:, :1]},
        "an untrained b of zeros": {**drawn, "b": torch.zeros_like(b)},
        "a rank above both sides of the weight": {**drawn, "a": draw(9, 7), "b": draw(5, 9)},
        "half an alpha": {**drawn, "alpha": 0.5},
        "the parts of the update in another order": {
            **drawn, "a": a[[2, 0, 1]], "b": b[:, [2, 0, 1]]
        },
    }  # fmt: skip
