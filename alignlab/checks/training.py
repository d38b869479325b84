"""Check of chapter 2's last exercise: a model that is trained until its loss meets the floor.

The distribution is enumerated, so the loss of a model on it is exact, and so is its floor.
Shapes: N sequences of T tokens, V words of the vocabulary.
"""

import itertools
import math
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import Case, Trial, passed
from alignlab.checks.values import plain

SEEDS = (0, 1)
STOP = 1e-4  # nats per token above the floor: where the exercise says to stop
NEAR = 2 * STOP  # what the check allows, since the last step may be taken after the last look


def train_to_floor(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``train_to_floor(sequences, probabilities, vocabulary, floor) -> (logits, losses)``.

    The returned logits are judged by their own loss, computed here, and the returned losses by
    it and by the floor.

    Raises:
        CheckFailed: a model above the floor, or losses that are not those of the model.
    """
    first = torch.tensor([0.8, 0.2], dtype=torch.float64)
    following = torch.tensor([[0.1, 0.9], [0.4, 0.6]], dtype=torch.float64)
    cases = [Case("two words, two tokens", chain(first, following, 2))]
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        first, *rows = torch.rand(4, 3, generator=generator, dtype=torch.float64) ** 2 + 0.1
        following = torch.stack([row / row.sum() for row in rows])
        arguments = chain(first / first.sum(), following, 4)
        cases.append(Case("three words, four tokens", arguments, seed))
    for case in cases:
        _judge(Trial("train_to_floor", answer, case, {}))
    passed("train_to_floor", len(cases))


def chain(first: torch.Tensor, following: torch.Tensor, length: int) -> dict:
    """Return every sequence of a Markov chain, with its probability and the entropy per token.

    Args:
        first: ``(V,)``, the probabilities of the first token.
        following: ``(V, V)``, row v holds the probabilities of what follows v; none is 0.
        length: T.
    """
    words = range(len(first))
    sequences = torch.tensor(list(itertools.product(words, repeat=length)))
    probabilities = first[sequences[:, 0]]
    for t in range(1, length):
        probabilities = probabilities * following[sequences[:, t - 1], sequences[:, t]]
    floor = -(probabilities * probabilities.log()).sum().item() / length
    return {
        "sequences": sequences,
        "probabilities": probabilities,
        "vocabulary": len(first),
        "floor": floor,
    }


def _judge(trial: Trial) -> None:
    got, _ = trial.run()
    sequences, probabilities, vocabulary, floor = trial.case.arguments.values()
    shape = (vocabulary + 1, vocabulary)
    if type(got) not in (list, tuple) or len(got) != 2:
        raise trial.failure(f"it returned {type(got).__name__}, expected (logits, losses)")
    try:
        logits, losses = (plain(part, torch.zeros(()))[0].detach().double() for part in got)
    except TypeError as error:
        raise trial.failure(str(error)) from None
    if logits.shape != shape or losses.ndim != 1:
        raise trial.failure(
            f"the logits have shape {tuple(logits.shape)}, expected {shape}, one row for each "
            "token before and the last for the beginning; the losses are a list of numbers"
        )
    loss = _loss(logits, sequences, probabilities).item()
    if not loss - floor <= NEAR:
        raise trial.failure(
            f"the returned model's loss is {loss:.5f} nats per token, {loss - floor:.5f} above the "
            f"floor of {floor:.5f}; at most {STOP:g} is wanted",
            got=logits, excess=(loss - floor) / NEAR if math.isfinite(loss) else math.inf,
            likely=_likely(logits, sequences, probabilities),
        )  # fmt: skip
    error = max(abs(losses[-1].item() - loss), floor - losses.min().item())
    if not error <= NEAR:
        likely = None
        if abs(losses[-1] / loss - sequences.shape[1]) < 0.01:
            likely = "the loss of a sequence: divide by its tokens"
        raise trial.failure(
            f"the losses end with {losses[-1]:.5f} and are least at {losses.min():.5f}; that of "
            f"the returned model is {loss:.5f}, and no loss can be below the floor of {floor:.5f}",
            excess=error / NEAR, likely=likely,
        )  # fmt: skip


def _pairs(sequences: torch.Tensor, vocabulary: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return for every token the row that predicts it, and the token itself, each ``(N, T)``."""
    before = torch.full_like(sequences[:, :1], vocabulary)
    return torch.cat([before, sequences[:, :-1]], 1), sequences


def _loss(logits, sequences, probabilities) -> torch.Tensor:
    before, after = _pairs(sequences, logits.shape[1])
    logprobs = logits.log_softmax(-1)[before, after].mean(-1)
    return -(probabilities * logprobs).sum()


def _likely(logits, sequences, probabilities) -> str | None:
    """Compare the learned table with those that usual mistakes lead to."""
    vocabulary = logits.shape[1]
    before, after = _pairs(sequences, vocabulary)
    inner_before, inner_after = before[:, 1:], after[:, 1:]
    wrong = {
        "the first token is never trained: the last row predicts it":
            _table(inner_before, inner_after, probabilities, vocabulary),
        "the table predicts the token before, not the token after":
            _table(inner_after, inner_before, probabilities, vocabulary),
        "nothing is shifted: a token predicts itself":
            _table(after, after, probabilities, vocabulary),
    }  # fmt: skip
    learned = logits.softmax(-1)
    if (learned - 1 / vocabulary).abs().max() < 1e-6:
        return "all tokens are equally likely: every sequence weighs the same, or no step was taken"
    return next((n for n, table in wrong.items() if (learned - table).abs().max() < 0.03), None)


def _table(before, after, weights, vocabulary) -> torch.Tensor:
    """Return the share of each token after each other; a row that nothing is said of stays even."""
    table = torch.full((vocabulary + 1, vocabulary), 1e-12, dtype=torch.float64)
    spread = weights[:, None].expand_as(before)
    table.index_put_((before, after), spread, accumulate=True)
    return table / table.sum(-1, keepdim=True)
