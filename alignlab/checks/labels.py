"""Checks of chapter 2: which tokens are trained, and what predicts them.

Shapes: B examples, T tokens, V words of the vocabulary.
"""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F

from alignlab.checks.common import SEEDS, Case, verify
from alignlab.checks.values import logits_for
from alignlab.losses import IGNORE


def completion_labels(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``completion_labels(input_ids, prompt_lengths, attention_mask) -> labels``.

    Raises:
        CheckFailed: not the ids of the completion with -100 everywhere else.
    """

    def reference(input_ids, prompt_lengths, attention_mask):
        labels = [
            [
                token if place >= start and real else IGNORE
                for place, (token, real) in enumerate(zip(ids, mask))
            ]
            for ids, start, mask in zip(
                input_ids.tolist(), prompt_lengths.tolist(), attention_mask.tolist()
            )
        ]
        return torch.tensor(labels)

    def kept(input_ids, prompt_lengths, attention_mask, early=0, ignore=IGNORE):
        places = torch.arange(input_ids.shape[1])
        prompt = places < (prompt_lengths - early)[:, None]
        return input_ids.masked_fill(prompt | (attention_mask == 0), ignore)

    def last_ignored(input_ids, prompt_lengths, attention_mask):
        rows = torch.arange(len(input_ids))
        labels = kept(input_ids, prompt_lengths, attention_mask)
        labels[rows, attention_mask.sum(-1) - 1] = IGNORE
        return labels

    def by_value(input_ids, prompt_lengths, attention_mask):
        labels = kept(input_ids, prompt_lengths, attention_mask)
        return labels.masked_fill(labels == input_ids[0, -1], IGNORE)

    verify(
        "completion_labels", answer, reference,
        by_hand=[
            Case(
                "a row padded with the end-of-text token 2, and a row that was cut",
                _rows([[5, 6, 7, 2, 2, 2], [4, 9, 3, 8, 6, 7]], [2, 1], [4, 6]),
            ),
        ],
        drawn=_label_cases,
        mistakes={
            "the prompt is not masked": lambda i, p, a: i.masked_fill(a == 0, IGNORE),
            "the padding is not masked": lambda i, p, a: kept(i, p, torch.ones_like(a)),
            "the mask begins one token early: the prompt's last token is trained":
                lambda i, p, a: kept(i, p, a, early=1),
            "the mask ends one token late: the completion's first token is not trained":
                lambda i, p, a: kept(i, p, a, early=-1),
            "the last token of each row is not trained, so the model never learns to stop":
                last_ignored,
            "padding is found by its id, which the end of the text shares: use attention_mask":
                by_value,
            "all rows are cut at the longest prompt": lambda i, p, a: kept(
                i, p.max().expand_as(p), a
            ),
            "masked tokens get 0, which is a word of the vocabulary, not -100":
                lambda i, p, a: kept(i, p, a, ignore=0),
            "the labels are shifted, which the model does by itself":
                lambda i, p, a: kept(i, p, a).roll(-1, 1),
            "the mask is the wrong way round: the prompt is trained, the completion is not":
                lambda i, p, a: i.masked_fill(kept(i, p, a) != IGNORE, IGNORE),
        },
        seeds=seeds,
    )  # fmt: skip


def _rows(ids: list[list[int]], prompt_lengths: list[int], lengths: list[int]) -> dict:
    input_ids = torch.tensor(ids)
    real = torch.arange(input_ids.shape[1]) < torch.tensor(lengths)[:, None]
    return {
        "input_ids": input_ids,
        "prompt_lengths": torch.tensor(prompt_lengths),
        "attention_mask": real.long(),
    }


def _label_cases(generator: torch.Generator) -> dict[str, dict]:
    lengths = torch.tensor([4, 11, 7, 9, 6])
    # Nothing but completion, nothing but prompt, a single token of completion, two drawn.
    prompts = torch.tensor([0, 11, 6, *torch.randint(2, 5, (2,), generator=generator)])
    ids = torch.randint(3, 50, (5, 11), generator=generator)
    ids[torch.arange(11) >= lengths[:, None] - 1] = 2  # the end of the text, and padding
    rows = _rows(ids.tolist(), prompts.tolist(), lengths.tolist())
    order = torch.randperm(5, generator=generator)
    return {
        "rows of unequal lengths": rows,
        "the same rows in another order": {name: rows[name][order] for name in rows},
        "the same rows, padded further": {
            "input_ids": F.pad(rows["input_ids"], (0, 2), value=2),
            "prompt_lengths": rows["prompt_lengths"],
            "attention_mask": F.pad(rows["attention_mask"], (0, 2)),
        },
    }


def shift(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``shift(logits, labels) -> (predictions, targets)``.

    Raises:
        CheckFailed: prediction t does not stand beside label t + 1, or the gradient differs.
    """

    def reference(logits, labels):
        places = range(logits.shape[1] - 1)
        return (
            torch.stack([logits[:, t] for t in places], 1),
            torch.stack([labels[:, t + 1] for t in places], 1),
        )

    def drawn(generator):
        logits = logits_for(generator, 3, 6, 5)
        labels = torch.randint(0, 5, (3, 6), generator=generator)
        labels[0, :4] = IGNORE
        return {
            "three rows of six tokens": {"logits": logits, "labels": labels},
            "one row of two tokens": {"logits": logits[:1, :2], "labels": labels[1:2, :2]},
        }

    by_hand = {
        "logits": torch.arange(6, dtype=torch.float64).reshape(1, 3, 2),
        "labels": torch.tensor([[IGNORE, 0, 1]]),
    }
    verify(
        "shift", answer, reference, [Case("one row of three tokens", by_hand)], drawn,
        mistakes={
            "nothing is shifted: position t is compared with the token that it has just read":
                lambda x, y: (x, y),
            "nothing is shifted: both lose their last position":
                lambda x, y: (x[:, :-1], y[:, :-1]),
            "nothing is shifted: both lose their first position":
                lambda x, y: (x[:, 1:], y[:, 1:]),
            "shifted the wrong way: position t is compared with the token before it":
                lambda x, y: (x[:, 1:], y[:, :-1]),
            "roll brings the first label round to the end: drop the last position instead":
                lambda x, y: (x, y.roll(-1, 1)),
            "shifted in the batch, not in time": lambda x, y: (x[:-1], y[1:]),
        },
        gradients=["logits"], seeds=seeds,
    )  # fmt: skip
