import math

import numpy as np
import torch


def _top(a, b):
    if b <= 0:
        return math.inf
    return (a / (2 * b)) ** 2 if a > 0 else 0.0


def _fit(d, rewards):
    columns = torch.stack([d, -d * d], -1)
    a, b = torch.linalg.lstsq(columns, rewards[:, None]).solution[:, 0].tolist()
    return a, b


def right_lstsq(kl, rewards):
    a, b = _fit(kl.sqrt(), rewards)
    return a, b, _top(a, b)


def right_numpy(kl, rewards):
    d = np.sqrt(kl.numpy())
    (a, minus_b), *_ = np.linalg.lstsq(np.stack([d, d**2], 1), rewards.numpy(), rcond=None)
    if minus_b >= 0:
        return a, -minus_b, math.inf
    return a, -minus_b, max(a, 0.0) ** 2 / (4 * minus_b**2)


def right_normal_equations(kl, rewards):
    d = kl.sqrt()
    columns = torch.stack([d, -kl], 1)
    a, b = torch.linalg.solve(columns.T @ columns, columns.T @ rewards)
    stop = (a / (2 * b)).clamp(min=0) ** 2
    return a, b, stop if b > 0 else math.inf


def wrong_kl(kl, rewards):
    """the root of the KL divergence"""
    a, b = _fit(kl, rewards)
    return a, b, _top(a, b)


def wrong_intercept(kl, rewards):
    """no intercept"""
    d = kl.sqrt()
    columns = torch.stack([d, -d * d, torch.ones_like(d)], -1)
    a, b, _ = torch.linalg.lstsq(columns, rewards[:, None]).solution[:, 0].tolist()
    return a, b, _top(a, b)


def wrong_not_squared(kl, rewards):
    """its square"""
    a, b = _fit(kl.sqrt(), rewards)
    return a, b, math.sqrt(_top(a, b))


def wrong_back_at_zero(kl, rewards):
    """where the reward is back at 0"""
    a, b = _fit(kl.sqrt(), rewards)
    return a, b, 4 * _top(a, b)


def wrong_height(kl, rewards):
    """the highest reward"""
    a, b = _fit(kl.sqrt(), rewards)
    return a, b, a * a / (4 * b)


def wrong_measured(kl, rewards):
    """among those measured"""
    return *_fit(kl.sqrt(), rewards), kl[rewards.argmax()]


def wrong_sign(kl, rewards):
    """b has its sign turned"""
    a, b = _fit(kl.sqrt(), rewards)
    return a, -b, _top(a, b)


def wrong_exchanged(kl, rewards):
    """a and b are exchanged"""
    a, b = _fit(kl.sqrt(), rewards)
    return b, a, _top(a, b)


def wrong_ratios(kl, rewards):
    """a line through reward / d"""
    d, rewards = kl[kl > 0].sqrt(), rewards[kl > 0]
    slope, a = np.polyfit(d.numpy(), (rewards / d).numpy(), 1)
    return a, -slope, _top(a, -slope)


def wrong_ends(kl, rewards):
    """through the first policy and the last"""
    order = kl.argsort()
    first = order[1] if kl[order[0]] == 0 else order[0]
    where = torch.stack([first, order[-1]])
    a, b = _fit(kl[where].sqrt(), rewards[where])
    return a, b, _top(a, b)


def wrong_rises(kl, rewards):
    """rises without end"""
    a, b = _fit(kl.sqrt(), rewards)
    return a, b, (a / (2 * b)) ** 2 if a > 0 else 0.0


def wrong_falls(kl, rewards):
    """highest at the start"""
    a, b = _fit(kl.sqrt(), rewards)
    return a, b, (a / (2 * b)) ** 2 if b > 0 else math.inf


def wrong_no_peak(kl, rewards):
    """rises without end"""
    a, b = _fit(kl.sqrt(), rewards)
    return a, b, (a / (2 * b)) ** 2


def wrong_no_square(kl, rewards):
    d = kl.sqrt()
    a = (d @ rewards / (d @ d)).item()
    return a, 0.0, math.inf


def wrong_logarithm(kl, rewards):
    # What the paper found for reinforcement learning.
    d = kl.sqrt()
    columns = torch.stack([d, -torch.special.xlogy(d, d)], -1)
    a, b = torch.linalg.lstsq(columns, rewards[:, None]).solution[:, 0].tolist()
    return a, b, math.exp(2 * (a / b - 1)) if b > 0 else math.inf
