"""Checks of chapter 2: likelihood, entropy and divergence where everything can be counted.

Shapes: M possible responses, V words of the vocabulary. All values are in nats.
"""

import itertools
import math
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import SEEDS, Case, verify


def perplexity(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``perplexity(total_losses, token_counts) -> perplexity`` of an evaluation.

    Raises:
        CheckFailed: not the exponential of the mean loss of a token.
    """

    def reference(total_losses, token_counts):
        return torch.tensor(math.exp(sum(total_losses) / sum(token_counts)), dtype=torch.float64)

    def means(losses, counts):
        return [loss / max(count, 1) for loss, count in zip(losses, counts)]

    def mean(values):
        return sum(values) / len(values)

    def number(value):
        return torch.tensor(value, dtype=torch.float64)

    def drawn(generator):
        counts = torch.randint(2, 40, (5,), generator=generator).tolist()
        rates = torch.rand(5, generator=generator, dtype=torch.float64).tolist()
        losses = [count * (0.2 + 2 * rate) for count, rate in zip(counts, rates)]
        return {
            "five batches": {"total_losses": losses, "token_counts": counts},
            "the same in reverse": {
                "total_losses": losses[::-1], "token_counts": counts[::-1]
            },
            "one batch without tokens": {
                "total_losses": [*losses, 0.0], "token_counts": [*counts, 0]
            },
            "losses that add up to 6000 nats": {
                "total_losses": [2400.0, 3600.0], "token_counts": [700, 300]
            },
            "a perfect model": {"total_losses": [0.0, 0.0], "token_counts": counts[:2]},
        }  # fmt: skip

    by_hand = {"total_losses": [math.log(2), 3 * math.log(8)], "token_counts": [1, 3]}
    verify(
        "perplexity", answer, reference,
        [Case("a token of loss log 2 and three of loss log 8", by_hand)], drawn,
        mistakes={
            "the mean of the batches' perplexities":
                lambda x, n: number(mean(list(map(math.exp, means(x, n))))),
            "the batches' means weigh the same, though their numbers of tokens differ":
                lambda x, n: number(math.exp(mean(means(x, n)))),
            "the loss itself: the exponential is missing":
                lambda x, n: number(sum(x) / sum(n)),
            "2 to the power of a loss in nats: the base must be that of the logarithm":
                lambda x, n: number(2 ** (sum(x) / sum(n))),
            "the probability of a token: the sign of the exponent":
                lambda x, n: number(math.exp(-sum(x) / sum(n))),
            "divided by the number of batches, not of tokens":
                lambda x, n: number(math.exp(sum(x) / len(x))),
        },
        seeds=seeds,
    )  # fmt: skip


def entropy_and_kl(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``entropy_and_kl(counts, log_q) -> (cross_entropy, entropy, kl)``.

    Raises:
        CheckFailed: one of the three differs.
    """

    def reference(counts, log_q):
        total = counts.sum().item()
        shares = [count / total for count in counts.tolist()]
        seen = [(p, q) for p, q in zip(shares, log_q.tolist()) if p > 0]
        cross_entropy = -math.fsum(p * q for p, q in seen)
        entropy = -math.fsum(p * math.log(p) for p, _ in seen)
        kl = math.fsum(p * (math.log(p) - q) for p, q in seen)
        return tuple(torch.tensor(x, dtype=torch.float64) for x in (cross_entropy, entropy, kl))

    def parts(counts, log_q, total=None, scale=1.0):
        p = counts / (counts.sum() if total is None else total)
        cross_entropy = -(p * log_q).nan_to_num(nan=0.0).sum()
        entropy = -torch.xlogy(p, p).sum()
        return tuple(scale * x for x in (cross_entropy, entropy, cross_entropy - entropy))

    def reversed_kl(counts, log_q):
        p, q = counts / counts.sum(), log_q.exp()
        *rest, _ = parts(counts, log_q)
        return *rest, (torch.xlogy(q, q) - torch.xlogy(q, p)).sum()

    def entropy_of_model(counts, log_q):
        cross_entropy, q = parts(counts, log_q)[0], log_q.exp()
        entropy = -torch.xlogy(q, q).sum()
        return cross_entropy, entropy, cross_entropy - entropy

    def drawn(generator):
        counts = torch.randint(1, 30, (7,), generator=generator)
        log_q = torch.randn(7, generator=generator, dtype=torch.float64).log_softmax(0)
        unseen = counts.clone()
        unseen[2] = unseen[5] = 0
        never = log_q.clone()
        never[2] = -math.inf
        tiny = torch.where(torch.arange(7) == 3, -1e4, log_q)
        order = torch.randperm(7, generator=generator)
        return {
            "seven responses": {"counts": counts, "log_q": log_q},
            "the same in another order": {"counts": counts[order], "log_q": log_q[order]},
            "responses never seen": {"counts": unseen, "log_q": log_q},
            "a response never seen that is impossible": {"counts": unseen, "log_q": never},
            "a response seen that is impossible": {"counts": counts, "log_q": never},
            "a log-probability of -1e4": {"counts": counts, "log_q": tiny},
            "a model equal to the data": {
                "counts": counts, "log_q": (counts.double() / counts.sum()).log()
            },
        }  # fmt: skip

    quarter = math.log(1 / 4)
    by_hand = {
        "counts": torch.tensor([4, 2, 2]),
        "log_q": torch.tensor([quarter, quarter, math.log(1 / 2)], dtype=torch.float64),
    }
    verify(
        "entropy_and_kl", answer, reference,
        [Case("shares 1/2, 1/4, 1/4 under a model of 1/4, 1/4, 1/2", by_hand)], drawn,
        mistakes={
            "the divergence is the wrong way round: the data's shares are the weights":
                reversed_kl,
            "this is the entropy of the model: the floor is that of the data": entropy_of_model,
            "bits, not nats: the logarithm has base 2":
                lambda n, q: parts(n, q, scale=1 / math.log(2)),
            "the sign: all three are at least 0": lambda n, q: parts(n, q, scale=-1.0),
            "the counts are not divided by their sum": lambda n, q: parts(n, q, total=1),
            "the responses weigh the same: divided by their number, not by the counts":
                lambda n, q: parts(torch.ones_like(n), q),
            "0 times minus infinity: what was never seen adds nothing": lambda n, q: (
                -(n / n.sum() * q).sum(),
                -(n / n.sum() * (n / n.sum()).log()).sum(),
                (n / n.sum() * ((n / n.sum()).log() - q)).sum(),
            ),
        },
        seeds=seeds,
    )  # fmt: skip


def entropy_floor(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``entropy_floor(first, following, length) -> nats per token``.

    Raises:
        CheckFailed: not the entropy of all sequences of that length, divided by it.
    """

    def entropy(p):
        return -torch.xlogy(p, p).sum(-1)

    def reference(first, following, length):
        total = 0.0
        for sequence in itertools.product(range(len(first)), repeat=length):
            p = first[sequence[0]].item()
            for before, after in itertools.pairwise(sequence):
                p *= following[before, after].item()
            total -= p * math.log(p) if p > 0 else 0.0
        return torch.tensor(total / length, dtype=torch.float64)

    def walk(first, following, length):
        shares = [first]
        for _ in range(length - 1):
            shares.append(shares[-1] @ following)
        return shares

    def summed(first, following, length):
        before = walk(first, following, length)[:-1]
        return entropy(first) + sum((share @ entropy(following) for share in before), 0.0)

    def uniform(first, following, length):
        return (entropy(first) + (length - 1) * entropy(following).mean()) / length

    def start_only(first, following, length):
        return (entropy(first) + (length - 1) * (first @ entropy(following))) / length

    def drawn(generator):
        first = torch.rand(3, generator=generator, dtype=torch.float64)
        following = torch.rand(3, 3, generator=generator, dtype=torch.float64) ** 2
        following[1] = torch.tensor([0.0, 0.02, 0.98])
        chain = {
            "first": first / first.sum(), "following": following / following.sum(-1, True),
        }  # fmt: skip
        sure = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
        return {
            "sequences of five tokens": {**chain, "length": 5},
            "sequences of one token": {**chain, "length": 1},
            "a first token that is certain": {**chain, "first": sure, "length": 4},
        }

    by_hand = {
        "first": torch.tensor([0.75, 0.25], dtype=torch.float64),
        "following": torch.tensor([[0.5, 0.5], [0.0, 1.0]], dtype=torch.float64),
        "length": 3,
    }
    verify(
        "entropy_floor", answer, reference, [Case("two words, three tokens", by_hand)], drawn,
        mistakes={
            "the entropy of the sequence: it is not divided by its length": summed,
            "bits, not nats: the logarithm has base 2":
                lambda f, a, n: summed(f, a, n) / n / math.log(2),
            "the first token's entropy is left out":
                lambda f, a, n: (summed(f, a, n) - entropy(f)) / n,
            "divided by the number of transitions, not of tokens":
                lambda f, a, n: summed(f, a, n) / max(n - 1, 1),
            "one transition too many":
                lambda f, a, n: summed(f, a, n + 1) / n,
            "the words weigh the same: weigh each by the chance that it stands there": uniform,
            "every position has the shares of the first": start_only,
            "the entropy of each token alone: what stands before it makes it easier to predict":
                lambda f, a, n: sum(map(entropy, walk(f, a, n))) / n,
            "the table is read down its columns: row v holds what follows v":
                lambda f, a, n: summed(f, a.T, n) / n,
        },
        seeds=seeds,
    )  # fmt: skip
