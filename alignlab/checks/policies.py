"""Checks of chapter 6: the best policy for a reward, where all responses can be listed.

Shapes: N prompts, M possible responses to each, K values of beta. Logarithms are natural, and
rewards in nats.
"""

import math
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import SEEDS, Case, verify


def optimal_policy(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``optimal_policy(log_ref, rewards, beta) -> (log_policy, log_z)``, (N, M) and (N,).

    Raises:
        CheckFailed: not the reference times exp(reward / beta) over its sum Z (Rafailov et al.
            2023, "Direct preference optimization", equation 4), or not log Z.
    """

    def reference(log_ref, rewards, beta):
        return _best(log_ref, rewards / beta)

    def weights(log_ref, rewards, beta):
        return (log_ref + rewards / beta).exp()

    by_hand = {
        "log_ref": torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log(),
        "rewards": torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.float64),
        "beta": 0.5,
    }
    verify(
        "optimal_policy", answer, reference, [Case("one prompt with three responses", by_hand)],
        _prompts,
        mistakes={
            "the reward is multiplied by beta, not divided": lambda p, r, b: _best(p, r * b),
            "beta is missing": lambda p, r, b: _best(p, r),
            "the sign: the better a response, the more probable": lambda p, r, b: _best(p, -r / b),
            "the reference is missing": lambda p, r, b: _best(torch.zeros_like(p), r / b),
            "the policy is not divided by Z":
                lambda p, r, b: (p + r / b, _best(p, r / b)[1]),
            "Z leaves out the reference": lambda p, r, b: (
                p + r / b - (r / b).logsumexp(-1, True), (r / b).logsumexp(-1)),
            "one Z for all prompts: each has its own":
                lambda p, r, b: (p + r / b - (p + r / b).logsumexp((0, 1)),
                                 (p + r / b).logsumexp((0, 1)).expand(len(p))),
            "Z, not its logarithm":
                lambda p, r, b: (_best(p, r / b)[0], weights(p, r, b).sum(-1)),
            "probabilities, not their logarithms":
                lambda p, r, b: (_best(p, r / b)[0].exp(), _best(p, r / b)[1]),
            "exp of a large reward overflows: stay with logarithms, as logsumexp does":
                lambda p, r, b: ((weights(p, r, b) / weights(p, r, b).sum(-1, True)).log(),
                                 weights(p, r, b).sum(-1).log()),
        },
        seeds=seeds,
    )  # fmt: skip


def _best(log_ref, scores):
    """Return reference times exp(score) over its sum, each row summed on its own."""
    log_z = []
    for row in (log_ref + scores).tolist():
        top = max(row)
        log_z.append(top + math.log(math.fsum(math.exp(x - top) for x in row)))
    log_z = torch.tensor(log_z, dtype=torch.float64)
    return log_ref + scores - log_z[:, None], log_z


def _prompts(generator: torch.Generator) -> dict[str, dict]:
    log_ref = 2 * torch.randn(3, 5, generator=generator, dtype=torch.float64)
    log_ref = log_ref.log_softmax(-1)
    rewards = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    never = log_ref.masked_fill(torch.arange(5) == 2, -math.inf).log_softmax(-1)
    rows, columns = (torch.randperm(n, generator=generator) for n in (3, 5))
    drawn = {"log_ref": log_ref, "rewards": rewards, "beta": 0.4}
    return {
        "three prompts of five responses": drawn,
        "the same in another order": {
            "log_ref": log_ref[rows][:, columns], "rewards": rewards[rows][:, columns], "beta": 0.4
        },
        "all rewards of a prompt raised by 7": {
            **drawn, "rewards": rewards + torch.tensor([[0.0], [7.0], [0.0]])
        },
        "a large beta": {**drawn, "beta": 50.0},
        "rewards of 1e4": {**drawn, "rewards": 1e4 * rewards},
        "a response that the reference never gives": {**drawn, "log_ref": never},
    }  # fmt: skip


def implied_rewards(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``implied_rewards(log_policy, log_ref, beta) -> rewards``, ``(N, M)``, of mean 0.

    Raises:
        CheckFailed: not beta times the log-ratio (Rafailov et al. 2023, equation 5), less its mean
            over the prompt's responses.
    """

    def reference(log_policy, log_ref, beta):
        found = []
        for ours, theirs in zip(log_policy.tolist(), log_ref.tolist()):
            rewards = [beta * (a - b) for a, b in zip(ours, theirs)]
            found.append([x - math.fsum(rewards) / len(rewards) for x in rewards])
        return torch.tensor(found, dtype=torch.float64)

    def centred(rewards, weights=None):
        if weights is None:
            return rewards - rewards.mean(-1, keepdim=True)
        return rewards - (weights * rewards).sum(-1, keepdim=True)

    by_hand = {
        "log_policy": torch.tensor([[0.5, 0.5]], dtype=torch.float64).log(),
        "log_ref": torch.tensor([[0.8, 0.2]], dtype=torch.float64).log(),
        "beta": 2.0,
    }
    verify(
        "implied_rewards", answer, reference,
        [Case("two responses, of which the reference prefers the first", by_hand)], _policies,
        mistakes={
            "the constant: the mean over each prompt's responses is to be 0":
                lambda p, q, b: b * (p - q),
            "one mean for all prompts: each has its own":
                lambda p, q, b: b * (p - q) - (b * (p - q)).mean(),
            "the plain mean is wanted, not the one weighed by the reference":
                lambda p, q, b: centred(b * (p - q), q.exp()),
            "the plain mean is wanted, not the one weighed by the policy":
                lambda p, q, b: centred(b * (p - q), p.exp()),
            "divided by beta, not multiplied": lambda p, q, b: centred((p - q) / b),
            "beta is missing": lambda p, q, b: centred(p - q),
            "the sign: policy and reference are exchanged": lambda p, q, b: centred(b * (q - p)),
            "the reference is missing": lambda p, q, b: centred(b * p),
            "a ratio of probabilities: its logarithm is the reward":
                lambda p, q, b: centred(b * (p - q).exp()),
            "the first response has reward 0, not the mean":
                lambda p, q, b: b * (p - q) - (b * (p - q))[:, :1],
        },
        seeds=seeds,
    )  # fmt: skip


def _policies(generator: torch.Generator) -> dict[str, dict]:
    log_policy, log_ref = (
        (2 * torch.randn(3, 5, generator=generator, dtype=torch.float64)).log_softmax(-1)
        for _ in range(2)
    )
    rows, columns = (torch.randperm(n, generator=generator) for n in (3, 5))
    return {
        "three prompts of five responses":
            {"log_policy": log_policy, "log_ref": log_ref, "beta": 0.3},
        "the same in another order": {
            "log_policy": log_policy[rows][:, columns], "log_ref": log_ref[rows][:, columns],
            "beta": 0.3,
        },
        "policy and reference changed over":
            {"log_policy": log_ref, "log_ref": log_policy, "beta": 0.3},
        "a policy that has not moved": {"log_policy": log_ref, "log_ref": log_ref, "beta": 0.3},
        "a large beta": {"log_policy": log_policy, "log_ref": log_ref, "beta": 20.0},
    }  # fmt: skip


def frontier(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``frontier(log_ref, rewards, betas) -> (reward, kl)``, ``(K,)`` each, of one prompt.

    Raises:
        CheckFailed: not the best policy's expected reward and its KL divergence from the reference.
    """

    def reference(log_ref, rewards, betas):
        found = []
        for beta in betas.tolist():
            best = _best(log_ref[None], rewards[None] / beta)[0][0].tolist()
            said = [(math.exp(x), x - q, r) for x, q, r in zip(best, log_ref.tolist(),
                    rewards.tolist()) if x > -math.inf]  # fmt: skip
            found.append([math.fsum(p * r for p, _, r in said),
                          math.fsum(p * gap for p, gap, _ in said)])  # fmt: skip
        return tuple(torch.tensor(found, dtype=torch.float64).T)

    def other(reward=None, kl=None, score=lambda r, b: r / b):
        def found(log_ref, rewards, betas):
            log_ref = log_ref.clamp(min=-1e6)
            best = (log_ref + score(rewards, betas[:, None])).log_softmax(-1)
            p, q = best.exp(), log_ref.exp()
            right = (p * rewards).sum(-1), (p * (best - log_ref)).sum(-1)
            changed = [
                value(p, q, rewards, betas, right) if value else plain
                for value, plain in zip((reward, kl), right)
            ]
            return tuple(changed)

        return found

    def reverse(p, q, r, b, right):
        return torch.where(q > 0, q * (q.log() - p.clamp(min=1e-300).log()), 0.0).sum(-1)

    by_hand = {
        "log_ref": torch.tensor([0.8, 0.2], dtype=torch.float64).log(),
        "rewards": torch.tensor([0.0, 1.0], dtype=torch.float64),
        "betas": torch.tensor([1.0, 0.5], dtype=torch.float64),
    }
    verify(
        "frontier", answer, reference, [Case("two responses, rewards 0 and 1", by_hand)],
        _frontiers,
        mistakes={
            "the reward is multiplied by beta, not divided": other(score=lambda r, b: r * b),
            "the reference is missing: the policy is a softmax of rewards": lambda q, r, b:
                other()(torch.zeros_like(q).log_softmax(0), r, b),
            "the KL divergence the wrong way round: the policy's responses are averaged over":
                other(kl=reverse),
            "the objective, reward minus beta times KL, not the reward":
                other(reward=lambda p, q, r, b, right: right[0] - b * right[1]),
            "beta times the KL divergence": other(kl=lambda p, q, r, b, right: b * right[1]),
            "the reference's expected reward, which no beta changes": other(
                reward=lambda p, q, r, b, right: (q * r).sum().expand(len(b))),
            "the reward of the most probable response, not the mean":
                other(reward=lambda p, q, r, b, right: r[p.argmax(-1)]),
            "the mean over responses without their probabilities":
                other(reward=lambda p, q, r, b, right: r.mean().expand(len(b))),
            "the policy's entropy with its sign turned: the reference is missing in the KL":
                other(kl=lambda p, q, r, b, right: -torch.special.entr(p).sum(-1)),
        },
        seeds=seeds,
    )  # fmt: skip


def _frontiers(generator: torch.Generator) -> dict[str, dict]:
    drawn = _prompts(generator)["three prompts of five responses"]
    log_ref, rewards = drawn["log_ref"][0], drawn["rewards"][0]
    betas = torch.tensor([0.05, 0.3, 1.0, 4.0], dtype=torch.float64)
    order = torch.randperm(5, generator=generator)
    never = log_ref.masked_fill(torch.arange(5) == 3, -math.inf).log_softmax(-1)
    return {
        "five responses, four betas": {"log_ref": log_ref, "rewards": rewards, "betas": betas},
        "the same responses in another order":
            {"log_ref": log_ref[order], "rewards": rewards[order], "betas": betas},
        "other betas": {"log_ref": log_ref, "rewards": rewards, "betas": betas.flip(0)[:3] * 1.7},
        "all rewards raised by 5": {"log_ref": log_ref, "rewards": rewards + 5, "betas": betas},
        "a beta so small that one response is left":
            {"log_ref": log_ref, "rewards": rewards, "betas": betas[:1] / 1000},
        "a response that the reference never gives":
            {"log_ref": never, "rewards": rewards, "betas": betas},
    }  # fmt: skip
