"""Checks of chapter 2: the loss of a token, and its mean over a batch.

Shapes: B examples, N predicted positions, V words of the vocabulary, M micro-batches.
"""

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F

from alignlab.checks.common import SEEDS, Case, verify
from alignlab.checks.values import logits_for
from alignlab.losses import IGNORE


def token_nll(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``token_nll(logits, targets) -> losses``, in nats, 0 where a target is -100.

    Raises:
        CheckFailed: values or gradients differ from PyTorch's ``cross_entropy``.
    """

    def reference(logits, targets):
        losses = F.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), reduction="none", ignore_index=IGNORE
        )
        return losses.reshape(targets.shape)

    def looked_up(logprobs, targets, fill=0.0):
        ignored = targets == IGNORE
        found = logprobs.gather(-1, targets.masked_fill(ignored, 0)[..., None])[..., 0]
        return (-found).masked_fill(ignored, fill) if fill is not None else -found

    def by_largest(logits, targets):
        scores = logits - logits.max()
        return looked_up(scores - scores.exp().sum(-1, keepdim=True).log(), targets)

    third = math.log(3)
    uneven = torch.tensor([[[third, 0.0], [third, 0.0], [0.0, 0.0]]], dtype=torch.float64)
    far = torch.tensor([[[1e4, -1e4], [1e4, -1e4]]], dtype=torch.float64)
    apart = torch.tensor([[[1e4, 1e4], [-1e4, -1e4]]], dtype=torch.float64)
    by_hand = [
        Case(
            "probabilities 3/4 and 1/4 of the two words",
            {"logits": uneven, "targets": torch.tensor([[0, 1, IGNORE]])},
        ),
        Case("logits of 1e4 and -1e4", {"logits": far, "targets": torch.tensor([[0, 1]])}),
        Case(
            "one position with logits of 1e4, another with -1e4",
            {"logits": apart, "targets": torch.tensor([[1, 0]])},
        ),
    ]
    verify(
        "token_nll", answer, reference,
        by_hand, _nll_cases,
        mistakes={
            "the sign: these are log-probabilities, the loss is minus them":
                lambda x, y: -looked_up(x.log_softmax(-1), y),
            "bits, not nats: the logarithm has base 2":
                lambda x, y: looked_up(x.log_softmax(-1), y) / math.log(2),
            "probabilities: the logarithm is missing":
                lambda x, y: -looked_up(x.softmax(-1), y),
            "logits: the normalisation is missing": looked_up,
            "the softmax runs over positions, not over the vocabulary":
                lambda x, y: looked_up(x.log_softmax(1), y),
            "positions with target -100 have a loss; they must have 0":
                lambda x, y: looked_up(x.log_softmax(-1), y, None),
            "log(softmax): a probability too small for a number becomes 0, its logarithm infinite":
                lambda x, y: looked_up(x.softmax(-1).log(), y),
            "exp of large logits overflows: subtract each position's largest logit first":
                lambda x, y: looked_up(x - x.exp().sum(-1, keepdim=True).log(), y),
            "the largest logit of the whole batch is subtracted, which is too much for some "
            "positions": by_largest,
        },
        gradients=["logits"], seeds=seeds,
    )  # fmt: skip


def _nll_cases(generator: torch.Generator) -> dict[str, dict]:
    logits = logits_for(generator, 3, 5, 7)
    targets = torch.randint(0, 7, (3, 5), generator=generator)
    targets[0, 1:], targets[1, :2] = IGNORE, IGNORE  # 1, 3 and 5 positions count
    order = torch.randperm(3, generator=generator)
    return {
        "lengths 1, 3 and 5": {"logits": logits, "targets": targets},
        "the same in another order": {"logits": logits[order], "targets": targets[order]},
        "all logits shifted by 100": {"logits": logits + 100, "targets": targets},
        "nothing to learn": {"logits": logits, "targets": torch.full_like(targets, IGNORE)},
    }


def token_mean(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``token_mean(losses, mask) -> loss``.

    Raises:
        CheckFailed: not the mean over the batch's counted tokens, or another gradient.
    """

    def reference(losses, mask):
        counted = losses[mask]
        return counted.sum() / max(len(counted), 1)

    def row_means(losses, mask):
        return losses.where(mask, 0.0).sum(-1) / mask.sum(-1).clamp(min=1)

    def drawn(generator):
        losses = torch.rand(4, 6, generator=generator, dtype=torch.float64) * 5 + 0.1
        mask = torch.arange(6) < torch.tensor([1, 3, 6, 0])[:, None]
        mask = mask[:, torch.randperm(6, generator=generator)]
        order = torch.randperm(4, generator=generator)
        return {
            "rows of 1, 3, 6 and 0 tokens": {"losses": losses, "mask": mask},
            "the same rows in another order": {"losses": losses[order], "mask": mask[order]},
            "the same rows, padded further": {
                "losses": F.pad(losses, (0, 3), value=9.0),
                "mask": F.pad(mask, (0, 3)),
            },
            "infinite losses where nothing counts": {
                "losses": losses.masked_fill(~mask, math.inf), "mask": mask
            },
            "no token that counts": {"losses": losses, "mask": torch.zeros_like(mask)},
        }  # fmt: skip

    by_hand = {
        "losses": torch.tensor([[1.0, 7.0, 7.0], [2.0, 4.0, 5.0]], dtype=torch.float64),
        "mask": torch.tensor([[True, False, False], [True, True, True]]),
    }
    verify(
        "token_mean", answer, reference, [Case("one token and three", by_hand)], drawn,
        mistakes={
            "the mean of the rows' means: short rows weigh as much as long ones":
                lambda x, m: row_means(x, m).mean(),
            "the sum: it is not divided": lambda x, m: x.where(m, 0.0).sum(),
            "masked positions are counted in the divisor": lambda x, m: x.where(m, 0.0).mean(),
            "masked positions are counted": lambda x, m: x.mean(),
            "divided by the number of rows, not of tokens":
                lambda x, m: x.where(m, 0.0).sum() / len(x),
            "0 times infinity is not a number: choose the positions, do not multiply":
                lambda x, m: (x * m).sum() / m.sum().clamp(min=1),
            "0 divided by 0: a batch without a counted token costs 0":
                lambda x, m: x.where(m, 0.0).sum() / m.sum(),
            "one value for each row: the mean runs over the whole batch": row_means,
        },
        gradients=["losses"], seeds=seeds,
    )  # fmt: skip


def accumulation_losses(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``accumulation_losses(losses, masks) -> one loss for each micro-batch``.

    Raises:
        CheckFailed: they do not add up to the token mean of the whole batch, or a gradient differs.
    """

    def summed(losses, masks):
        return [x.where(m, 0.0).sum() for x, m in zip(losses, masks)]

    def tokens(masks):
        return max(sum(int(m.sum()) for m in masks), 1)

    def reference(losses, masks):
        return tuple(x[m].sum() / tokens(masks) for x, m in zip(losses, masks))

    def means(losses, masks):
        return [x / max(int(m.sum()), 1) for x, m in zip(summed(losses, masks), masks)]

    def drawn(generator):
        shapes, lengths = [(2, 5), (3, 4), (1, 7)], [[1, 3], [4, 2, 4], [0]]
        losses = [torch.rand(*s, generator=generator, dtype=torch.float64) + 0.3 for s in shapes]
        masks = [torch.arange(s[1]) < torch.tensor(n)[:, None] for s, n in zip(shapes, lengths)]
        return {
            "micro-batches of 4, 10 and 0 tokens": {"losses": losses, "masks": masks},
            "a single micro-batch": {"losses": losses[:1], "masks": masks[:1]},
            "no token that counts": {"losses": losses[2:], "masks": masks[2:]},
        }

    by_hand = {
        "losses": [torch.tensor([[3.0]]).double(), torch.tensor([[1.0, 1.0], [1.0, 9.0]]).double()],
        "masks": [torch.tensor([[True]]), torch.tensor([[True, True], [True, False]])],
    }
    verify(
        "accumulation_losses", answer, reference,
        [Case("one token of loss 3 and three tokens of loss 1", by_hand)], drawn,
        mistakes={
            "each micro-batch's own mean, divided by their number: few tokens weigh as much as "
            "many": lambda x, m: [mean / len(x) for mean in means(x, m)],
            "each micro-batch's own mean: they add up to more than the mean of the batch": means,
            "the sums: they are not divided": summed,
            "divided by the number of rows, not of tokens":
                lambda x, m: [part / sum(map(len, x)) for part in summed(x, m)],
            "divided by the number of micro-batches, not of tokens":
                lambda x, m: [part / len(x) for part in summed(x, m)],
            "masked positions are counted in the divisor":
                lambda x, m: [part / sum(map(torch.numel, x)) for part in summed(x, m)],
        },
        gradients=["losses"], seeds=seeds,
    )  # fmt: skip
