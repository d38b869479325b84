import math

import numpy as np


def right_loop(sizes, shares, target):
    if shares[0] >= target:
        return sizes[0].item()
    for k in range(1, len(sizes)):
        if shares[k] >= target:
            low, high = math.log(sizes[k - 1]), math.log(sizes[k])
            part = (target - shares[k - 1]) / (shares[k] - shares[k - 1])
            return math.exp(low + part.item() * (high - low))
    return math.inf


def right_numpy(sizes, shares, target):
    reached = np.flatnonzero(shares.numpy() >= target)
    if not len(reached):
        return np.inf
    ends = slice(max(reached[0] - 1, 0), reached[0] + 1)
    return np.exp(np.interp(target, shares.numpy()[ends], np.log(sizes.numpy()[ends])))


def right_powers(sizes, shares, target):
    reached = shares >= target
    if not reached.any():
        return float("inf")
    k = int(reached.double().argmax())
    if k == 0:
        return sizes[0]
    part = (target - shares[k - 1]) / (shares[k] - shares[k - 1])
    return sizes[k - 1] * (sizes[k] / sizes[k - 1]) ** part


def wrong_linear(sizes, shares, target):
    """the axis of sizes is not logarithmic"""
    reached = np.flatnonzero(shares.numpy() >= target)
    if not len(reached):
        return np.inf
    ends = slice(max(reached[0] - 1, 0), reached[0] + 1)
    return np.interp(target, shares.numpy()[ends], sizes.numpy()[ends])


def wrong_measured(sizes, shares, target):
    """the first size that was measured above"""
    return next((n.item() for n, y in zip(sizes, shares) if y >= target), math.inf)


def wrong_last(sizes, shares, target):
    """the last crossing"""
    found = math.inf if shares[0] < target else sizes[0].item()
    for k in range(1, len(sizes)):
        if shares[k - 1] < target <= shares[k]:
            part = (target - shares[k - 1]) / (shares[k] - shares[k - 1])
            found = sizes[k - 1] * (sizes[k] / sizes[k - 1]) ** part
    return found


def wrong_largest(sizes, shares, target):
    """the curve goes on as nobody knows"""
    right = right_loop(sizes, shares, target)
    return sizes[-1].item() if math.isinf(right) else right


def wrong_zero(sizes, shares, target):
    """infinite, not 0"""
    right = right_loop(sizes, shares, target)
    return 0 if math.isinf(right) else right


def wrong_logarithm(sizes, shares, target):
    """a logarithm"""
    right = right_loop(sizes, shares, target)
    return math.log(right) if shares[0] < target else right


def wrong_base(sizes, shares, target):
    """10 to the power"""
    right = right_loop(sizes, shares, target)
    return 10 ** math.log(right) if shares[0] < target and right < math.inf else right


def wrong_interp(sizes, shares, target):
    return np.exp(np.interp(target, shares.numpy(), np.log(sizes.numpy())))


def wrong_before_the_first(sizes, shares, target):
    right = right_loop(sizes, shares, target)
    return 0 if shares[0] >= target else right


def wrong_above(sizes, shares, target):
    return next((n.item() for n, y in zip(sizes, shares) if y > target), math.inf)


def wrong_mean(sizes, shares, target):
    reached = np.flatnonzero(shares.numpy() >= target)
    if not len(reached):
        return math.inf
    k = reached[0]
    return sizes[k].item() if k == 0 else math.sqrt(sizes[k] * sizes[k - 1])
