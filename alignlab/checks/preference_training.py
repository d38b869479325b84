"""Check of chapter 6's last exercise: a policy that is trained on comparisons until it is the best.

All responses are listed, and the comparisons come as often as their true rewards say, so the best
policy is known exactly. Shapes: N prompts, M possible responses to each.
"""

import math
from collections.abc import Callable, Iterable

import torch

from alignlab.checks.common import Case, Trial, passed

SEEDS = (0, 1)
NEAR = 1e-4  # nats of KL divergence from the best policy that are allowed
WHOLE = 1e-4  # how far the probabilities of a prompt may be from adding up to 1


def train_dpo(answer: Callable, seeds: Iterable[int] = SEEDS) -> None:
    """Check ``train_dpo(log_ref, wins, beta) -> log_policy``, ``(N, M)``.

    Raises:
        CheckFailed: probabilities that do not add up to 1, or a policy that is not the one for
            which DPO's loss is least: the reference times exp(reward / beta), normalised.
    """
    log_ref = torch.tensor([[0.6, 0.3, 0.1]], dtype=torch.float64).log()
    rewards = torch.tensor([[0.0, 1.0, 3.0]], dtype=torch.float64)
    cases = [Case("one prompt with three responses", _compared(log_ref, rewards, 0.5))]
    truths = [_optimum(log_ref, rewards / 0.5)]
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        log_ref = torch.randn(4, 5, generator=generator, dtype=torch.float64).log_softmax(-1)
        rewards = torch.rand(4, 5, generator=generator, dtype=torch.float64)
        for beta, title in ((0.5, "four prompts of five responses"), (2.0, "a larger beta")):
            cases.append(Case(title, _compared(log_ref, rewards, beta), seed))
            truths.append(_optimum(log_ref, rewards / beta))
    for case, truth in zip(cases, truths):
        _judge(Trial("train_dpo", answer, case, {}), truth)
    passed("train_dpo", len(cases))


def _optimum(log_ref: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    return (log_ref + scores).log_softmax(-1)


def _compared(log_ref: torch.Tensor, rewards: torch.Tensor, beta: float) -> dict:
    """Return the exercise's arguments; every two responses are compared 100 times on average."""
    chance = torch.sigmoid(rewards[:, :, None] - rewards[:, None, :])
    wins = 100 * chance * (1 - torch.eye(rewards.shape[1], dtype=torch.float64))
    return {"log_ref": log_ref, "wins": wins, "beta": beta}


def _judge(trial: Trial, truth: torch.Tensor) -> None:
    found = trial.one_tensor(truth, "the log-probabilities")
    whole = (found.exp().sum(-1) - 1).abs().max().item()
    if not whole <= WHOLE:
        size = whole / WHOLE if math.isfinite(whole) else math.inf
        raise trial.failure(
            "the probabilities of a prompt's responses do not add up to 1: return log-probabilities"
            " (log_softmax)", got=found, excess=size,
        )  # fmt: skip
    far = (truth.exp() * (truth - found)).sum(-1).max().item()
    if not far <= NEAR:
        raise trial.failure(
            f"the policy is {far:.4f} nats (KL) away from the best one; at most {NEAR:g} is wanted",
            truth, found, far / NEAR if math.isfinite(far) else math.inf,
            _likely(found, **trial.case.arguments),
        )  # fmt: skip


def _likely(found, log_ref, wins, beta) -> str | None:
    """Compare a policy with those that usual mistakes lead to."""
    same = torch.eye(wins.shape[1], dtype=torch.float64)  # a response against itself: even
    rewards = ((wins + same / 2) / (wins + wins.mT + same)).logit().mean(-1)
    free = torch.zeros_like(log_ref)
    wrong = {
        "no step was taken: this is the reference": log_ref,
        "the reference is missing in the loss": _optimum(free, rewards / beta),
        "wins[n, i, j] counts how often i was preferred to j, not j to i":
            _optimum(log_ref, -rewards / beta),
        "beta is missing": _optimum(log_ref, rewards),
        "divided by beta where it multiplies the log-ratios": _optimum(log_ref, rewards * beta),
    }  # fmt: skip
    return next((n for n, policy in wrong.items() if (policy - found).abs().max() < 0.02), None)
