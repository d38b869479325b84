"""Checks of chapter 5: the policy gradient of RLHF, its baseline, and its distance by sampling.

Shapes: N prompts with K sampled responses each, or one prompt with M responses that are listed; S
samples. Logarithms are natural.
"""

import math
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import SEEDS, Case, verify

STEP = 1e-4  # of the logits, for central differences


def rloo_advantages(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``rloo_advantages(rewards) -> advantages``, ``(N, K)`` both.

    Raises:
        CheckFailed: not each reward less the mean of the K - 1 others to its prompt (Ahmadian et
            al. 2024, "Back to basics").
    """

    def reference(rewards):
        rows = []
        for row in rewards.tolist():
            others = [[*row[:i], *row[i + 1 :]] for i in range(len(row))]
            rows.append([x - math.fsum(rest) / len(rest) for x, rest in zip(row, others)])
        return torch.tensor(rows, dtype=torch.float64)

    def rest(rewards, dim=-1):
        return rewards.sum(dim, keepdim=True) - rewards

    def best_other(rewards):
        top = rewards.topk(2, -1).values
        return torch.where(rewards == top[:, :1], top[:, 1:], top[:, :1])

    by_hand = {"rewards": torch.tensor([[1.0, 2.0, 6.0], [0.0, 0.0, 3.0]], dtype=torch.float64)}
    verify(
        "rloo_advantages", answer, reference,
        [Case("two prompts with three responses each", by_hand)], _sampled,
        mistakes={
            "the mean of all responses to the prompt: a response's own reward is left out":
                lambda r: r - r.mean(-1, keepdim=True),
            "divided by the spread of the rewards, which is another method (GRPO)":
                lambda r: (r - r.mean(-1, True)) / r.std(-1, keepdim=True),
            "the sum of the others, not their mean": lambda r: r - rest(r),
            "there are K - 1 others, not K": lambda r: r - rest(r) / r.shape[1],
            "the response's own reward is still in the sum":
                lambda r: r - r.sum(-1, True) / (r.shape[1] - 1),
            "one baseline for all prompts: each has its own":
                lambda r: r - (r.sum() - r) / (r.numel() - 1),
            "the mean over other prompts, not over other responses to the same one":
                lambda r: r - rest(r, 0) / (len(r) - 1),
            "the sign: a response better than the others has an advantage above 0":
                lambda r: rest(r) / (r.shape[1] - 1) - r,
            "the baseline alone: it is taken off the reward": lambda r: rest(r) / (r.shape[1] - 1),
            "the best of the others, not their mean": lambda r: r - best_other(r),
        },
        seeds=seeds,
    )  # fmt: skip


def _sampled(generator: torch.Generator) -> dict[str, dict]:
    rewards = 2 * torch.randn(4, 5, generator=generator, dtype=torch.float64)
    rows, columns = (torch.randperm(n, generator=generator) for n in (4, 5))
    shift = torch.tensor([[-40.0], [0.0], [3.0], [700.0]], dtype=torch.float64)
    drawn = {
        "four prompts, five responses each": rewards,
        "the same in another order": rewards[rows][:, columns],
        "each prompt's rewards raised by an amount of its own": rewards + shift,
        "two responses to each prompt": rewards[:, :2],
        "one prompt": rewards[:1],
        "rewards of 1e4": 1e4 * rewards,
        "equal rewards": torch.full_like(rewards, 0.3),
    }
    return {title: {"rewards": x} for title, x in drawn.items()}


def policy_gradient(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``policy_gradient(logits, rewards) -> gradient``, ``(M,)`` all, of one prompt.

    Raises:
        CheckFailed: not the derivative of the expected reward in each logit; it is compared with
            central differences.
    """

    def expected(logits, rewards):
        return (logits.softmax(-1) * rewards).sum()

    def reference(logits, rewards):
        slopes = []
        for place in range(len(logits)):
            step = torch.zeros_like(logits)
            step[place] = STEP
            rise = expected(logits + step, rewards) - expected(logits - step, rewards)
            slopes.append(rise / (2 * STEP))
        return torch.stack(slopes)

    def other(value):
        return lambda z, r: value(z.softmax(-1), r)

    def right(p, r):
        return p * (r - (p * r).sum())

    def overflowing(z, r):
        return right(z.exp() / z.exp().sum(), r)

    by_hand = {
        "logits": torch.tensor([math.log(2), 0.0, 0.0], dtype=torch.float64),
        "rewards": torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64),
    }
    verify(
        "policy_gradient", answer, reference,
        [Case("three responses, of probability 1/2, 1/4 and 1/4", by_hand)], _listed,
        mistakes={
            "the expected reward is not taken off: raising one logit lowers all other "
            "probabilities": other(lambda p, r: p * r),
            "each response counts with its probability": other(lambda p, r: r - (p * r).sum()),
            "the sign: uphill is wanted, this is the gradient of a loss":
                other(lambda p, r: -right(p, r)),
            "the plain mean of the rewards is taken off: the policy's own mean is meant":
                other(lambda p, r: p * (r - r.mean())),
            "the derivative in the probabilities: the logits come before them":
                other(lambda p, r: r),
            "a logit moves every probability, not its own alone":
                other(lambda p, r: p * (1 - p) * r),
            "towards the best response alone: all rewards count":
                other(lambda p, r: (torch.arange(len(r)) == r.argmax()).double() - p),
            "divided by the number of responses: the probabilities weigh them already":
                other(lambda p, r: right(p, r) / len(r)),
            "the gradient of the logarithm of the expected reward":
                other(lambda p, r: right(p, r) / (p * r).sum()),
            "the logits are taken for probabilities: a softmax is missing": right,
            "exp of a large logit overflows: softmax does not": overflowing,
        },
        seeds=seeds,
    )  # fmt: skip


def _listed(generator: torch.Generator) -> dict[str, dict]:
    logits = 1.5 * torch.randn(5, generator=generator, dtype=torch.float64)
    rewards = torch.randn(5, generator=generator, dtype=torch.float64)
    order = torch.randperm(5, generator=generator)
    never = logits.masked_fill(torch.arange(5) == 2, -math.inf)
    large = torch.tensor([1e4, -1e4, 1e4, 0.0, -1e4], dtype=torch.float64)
    return {
        "five responses": {"logits": logits, "rewards": rewards},
        "the same in another order": {"logits": logits[order], "rewards": rewards[order]},
        "all logits raised by 100": {"logits": logits + 100, "rewards": rewards},
        "all rewards raised by 7": {"logits": logits, "rewards": rewards + 7},
        "equal rewards": {"logits": logits, "rewards": torch.full_like(rewards, 2.0)},
        "one response": {"logits": logits[:1], "rewards": rewards[:1]},
        "logits of 1e4 and -1e4": {"logits": large, "rewards": rewards},
        "a response that the policy never gives": {"logits": never, "rewards": rewards},
    }


def kl_estimates(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``kl_estimates(policy_logps, ref_logps) -> (k1, k2, k3)`` of S samples of the policy.

    Raises:
        CheckFailed: not the means of -log w, of half its square, and of w - 1 - log w, where w is
            the reference's probability over the policy's (Schulman 2020, "Approximating KL
            divergence").
    """

    def reference(policy_logps, ref_logps):
        gaps = [p - q for p, q in zip(policy_logps.tolist(), ref_logps.tolist())]
        terms = [(d, d**2 / 2, math.expm1(-d) + d) for d in gaps]
        return tuple(math.fsum(column) / len(gaps) for column in zip(*terms))

    def plain(d):
        return d, d**2 / 2, (-d).exp() - 1 + d

    def means(*values):
        return tuple(value.mean() for value in values)

    def other(place, value):
        def found(policy_logps, ref_logps):
            values = [*plain(policy_logps - ref_logps)]
            values[place] = value(policy_logps - ref_logps)
            return means(*values)

        return found

    def underflowing(p, q):
        w = q.exp() / p.exp()
        return means(-w.log(), w.log() ** 2 / 2, w - 1 - w.log())

    by_hand = {
        "policy_logps": torch.tensor([0.8, 0.8, 0.2], dtype=torch.float64).log(),
        "ref_logps": torch.tensor([0.4, 0.4, 0.6], dtype=torch.float64).log(),
    }
    verify(
        "kl_estimates", answer, reference,
        [Case("three samples: twice as probable as before, twice, and a third", by_hand)],
        _samples,
        mistakes={
            "w is the reference's probability over the policy's, not the policy's over the "
            "reference's": lambda p, q: means(*plain(q - p)),
            "k2 is half of the square": other(1, lambda d: d**2),
            "k2 is the mean of squares, not the square of the mean":
                other(1, lambda d: d.mean() ** 2 / 2),
            "k3 has the logarithm's sign turned: it is taken off":
                other(2, lambda d: (-d).exp() - 1 - d),
            "k3 without the logarithm is 0 on average, whatever the policies":
                other(2, lambda d: (-d).exp() - 1),
            "k3 has the 1 missing: for equal policies it is to be 0":
                other(2, lambda d: (-d).exp() + d),
            "k1 without its sign is too large: what is below 0 has to cancel":
                other(0, lambda d: d.abs()),
            "sums: the mean of the samples is wanted":
                lambda p, q: tuple(x.sum() for x in plain(p - q)),
            "weighed by the policy once more: probable responses come more often as it is":
                lambda p, q: tuple((p.exp() * x).sum() for x in plain(p - q)),
            "exp of a small log-probability is 0: take the difference of logarithms first":
                underflowing,
            "in bits: natural logarithms are wanted":
                lambda p, q: means((p - q) / math.log(2), ((p - q) / math.log(2)) ** 2 / 2,
                                   (q - p).exp() - 1 + (p - q) / math.log(2)),
        },
        seeds=seeds,
    )  # fmt: skip


def _samples(generator: torch.Generator) -> dict[str, dict]:
    policy = -30 * torch.rand(7, generator=generator, dtype=torch.float64) - 1
    gaps = 1.5 * torch.randn(7, generator=generator, dtype=torch.float64)
    order = torch.randperm(7, generator=generator)
    never = torch.where(torch.arange(7) == 4, -math.inf, policy - gaps)
    drawn = {
        "seven samples": (policy, policy - gaps),
        "the same in another order": (policy[order], (policy - gaps)[order]),
        "policy and reference changed over": (policy - gaps, policy),
        "a policy that has not moved": (policy, policy),
        "one sample": (policy[:1], policy[:1] - gaps[:1]),
        "long responses, 2,000 nats lower": (policy - 2000, policy - gaps - 2000),
        "a policy 10,000 nats away": (policy, policy - gaps.abs() - 1e4),
        "a response that the reference never gives": (policy, never),
    }
    return {title: dict(zip(("policy_logps", "ref_logps"), x)) for title, x in drawn.items()}
