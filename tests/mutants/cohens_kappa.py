from collections import Counter

import numpy as np
import torch


def right_torch(first, second):
    kinds = torch.cat([first, second]).unique()
    ones, others = ((x[:, None] == kinds).double().mean(0) for x in (first, second))
    chance = (ones * others).sum()
    return ((first == second).double().mean() - chance) / (1 - chance)


def right_counters(first, second):
    first, second = first.tolist(), second.tolist()
    agreed = sum(a == b for a, b in zip(first, second)) / len(first)
    ones, others = Counter(first), Counter(second)
    chance = sum(ones[kind] * others[kind] for kind in ones) / len(first) ** 2
    return (agreed - chance) / (1 - chance)


def right_table(first, second):
    top = int(max(first.max(), second.max())) + 1
    table = np.zeros((top, top))
    np.add.at(table, (first.numpy(), second.numpy()), 1 / len(first))
    chance = (table.sum(0) * table.sum(1)).sum()
    return (np.trace(table) - chance) / (1 - chance)


def right_disagreement(first, second):
    """One minus the disagreement over that of all pairs of one label from each."""
    return 1 - (first != second).double().mean() / (first[:, None] != second).double().mean()


def wrong_agreement(first, second):
    """the share of equal labels"""
    return (first == second).double().mean()


def wrong_uniform(first, second):
    """chance is not 1/K"""
    chance = 1 / len(torch.cat([first, second]).unique())
    return ((first == second).double().mean() - chance) / (1 - chance)


def wrong_scott(first, second):
    """one distribution for both annotators"""
    both = torch.cat([first, second])
    chance = (both[:, None] == both).double().mean()
    return ((first == second).double().mean() - chance) / (1 - chance)


def wrong_difference(first, second):
    """not divided by 1 - chance"""
    return (first == second).double().mean() - (first[:, None] == second).double().mean()


def wrong_divisor(first, second):
    """divided by chance"""
    chance = (first[:, None] == second).double().mean()
    return ((first == second).double().mean() - chance) / chance


def wrong_chance(first, second):
    """the agreement that chance gives"""
    return (first[:, None] == second).double().mean()


def wrong_clipped(first, second):
    """clipped at 0"""
    return right_torch(first, second).clamp(min=0)


def wrong_squared(first, second):
    kinds = torch.cat([first, second]).unique()
    chance = (first[:, None] == kinds).double().mean(0).square().sum()
    return ((first == second).double().mean() - chance) / (1 - chance)


def wrong_distance(first, second):
    return 1 - (first - second).abs().double().mean() / (
        (first[:, None] - second).abs().double().mean()
    )


def wrong_correlation(first, second):
    return torch.corrcoef(torch.stack([first, second]).double())[0, 1]
