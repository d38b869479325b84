import math

import torch


def right_root(first, second, kinds):
    d = (first != second).double().mean().item()
    guess = (kinds - 1) / kinds
    return guess * (1 - math.sqrt(max(1 - d / guess, 0.0)))


def right_tensors(first, second, kinds):
    differ = torch.ne(first, second).double().mean()
    inside = (1 - differ * kinds / (kinds - 1)).clamp(min=0)
    return (1 - inside.sqrt()) * (kinds - 1) / kinds


def right_search(first, second, kinds):
    d = sum(a != b for a, b in zip(first.tolist(), second.tolist())) / len(first)
    low, high = 0.0, (kinds - 1) / kinds
    if d >= high:
        return high
    while high - low > 1e-13:
        f = (low + high) / 2
        agree = (1 - f) ** 2 + f**2 / (kinds - 1)
        low, high = (f, high) if 1 - agree < d else (low, f)
    return low


def wrong_disagreement(first, second, kinds):
    """this is how often two labels differ"""
    return (first != second).double().mean()


def wrong_half(first, second, kinds):
    """half of the disagreement"""
    return (first != second).double().mean() / 2


def wrong_never_agree(first, second, kinds):
    """two wrong labels can agree"""
    return 1 - (first == second).double().mean().sqrt()


def wrong_always_agree(first, second, kinds):
    """two wrong labels do not always agree"""
    d = (first != second).double().mean()
    return (1 - (1 - 2 * d).clamp(min=0).sqrt()) / 2


def wrong_other_root(first, second, kinds):
    """the other root"""
    d = (first != second).double().mean()
    guess = (kinds - 1) / kinds
    return guess * (1 + (1 - d / guess).clamp(min=0).sqrt())


def wrong_right_labels(first, second, kinds):
    """the share of labels that are right"""
    return 1 - right_tensors(first, second, kinds)


def wrong_spread(first, second, kinds):
    """the spread is K/(K-1)"""
    d = (first != second).double().mean()
    guess = kinds / (kinds - 1)
    return guess * (1 - (1 - d / guess).clamp(min=0).sqrt())


def wrong_negative_root(first, second, kinds):
    d = (first != second).double().mean()
    guess = (kinds - 1) / kinds
    return guess * (1 - (1 - d / guess).sqrt())


def wrong_kinds(first, second, kinds):
    return right_tensors(first, second, kinds + 1)


def wrong_kappa(first, second, kinds):
    agreed = (first == second).double().mean()
    return 1 - (agreed - 1 / kinds) / (1 - 1 / kinds)
