import math

import torch


def _chance(gap, sharpness, equal=0.5):
    return torch.where(gap == 0, equal, torch.sigmoid(sharpness * gap))


def right_torch(first, second, sharpness):
    return _chance((first - second).abs(), sharpness).mean()


def right_better_choice(first, second, sharpness):
    p = torch.sigmoid(sharpness * (first - second)).nan_to_num(0.5)
    return torch.maximum(p, 1 - p).mean()


def right_loop(first, second, sharpness):
    total = 0.0
    for a, b in zip(first.tolist(), second.tolist()):
        gap = abs(a - b)
        total += 0.5 if gap == 0 else 1 / (1 + math.exp(-sharpness * gap))
    return total / len(first)


def right_unequal_apart(first, second, sharpness):
    gap = (first - second).abs()
    unequal = gap[gap > 0]
    ties = len(gap) - len(unequal)
    return ((0.5 + torch.tanh(sharpness * unequal / 2) / 2).sum() + ties / 2) / len(gap)


def wrong_no_sharpness(first, second, sharpness):
    """the sharpness is not used"""
    return torch.sigmoid((first - second).abs()).mean()


def wrong_divided(first, second, sharpness):
    """divided by the sharpness"""
    return torch.sigmoid((first - second).abs() / sharpness).mean()


def wrong_first(first, second, sharpness):
    """how often the first response is chosen"""
    return _chance(first - second, sharpness).mean()


def wrong_mean_inside(first, second, sharpness):
    """not the mean of the chances"""
    return torch.sigmoid(sharpness * (first - second).abs().mean())


def wrong_agreement(first, second, sharpness):
    """how often two annotators agree"""
    p = _chance(first - second, sharpness)
    return (p * p + (1 - p) * (1 - p)).mean()


def wrong_always_right(first, second, sharpness):
    """it is not always right"""
    return ((first != second).double() + 0.5 * (first == second)).mean()


def wrong_not_a_number(first, second, sharpness):
    """infinity times 0"""
    return torch.sigmoid(sharpness * (first - second).abs()).mean()


def wrong_ties_right(first, second, sharpness):
    """right half of the time"""
    return _chance((first - second).abs(), sharpness, 1.0).mean()


def wrong_ties_left_out(first, second, sharpness):
    """pairs of equal rewards count"""
    gap = (first - second).abs()
    return torch.sigmoid(sharpness * gap[gap > 0]).mean()


def wrong_error(first, second, sharpness):
    """how often the best model is wrong"""
    p = torch.sigmoid(sharpness * (first - second)).nan_to_num(0.5)
    return torch.minimum(p, 1 - p).mean()


def wrong_each(first, second, sharpness):
    return _chance((first - second).abs(), sharpness)


def wrong_ratio(first, second, sharpness):
    top = torch.maximum(first, second)
    return (top / (first + second)).mean()


def wrong_sum(first, second, sharpness):
    return _chance((first - second).abs(), sharpness).sum()


def wrong_ties_zero(first, second, sharpness):
    return _chance((first - second).abs(), sharpness, 0.0).mean()
