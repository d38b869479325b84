import math
from itertools import pairwise

import numpy as np
import torch


def right_table(ranks):
    better = (ranks[:, :, None] < ranks[:, None]) & (ranks > 0)[:, :, None]
    pairs = better.double()
    return pairs / pairs.sum((1, 2), keepdim=True).clamp(min=1)


def right_loop(ranks):
    prompts, size = ranks.shape
    weights = torch.zeros(prompts, size, size)
    for p in range(prompts):
        pairs = [
            (i, j)
            for i in range(size)
            for j in range(size)
            if ranks[p, i] > 0 and ranks[p, j] > ranks[p, i]
        ]
        for i, j in pairs:
            weights[p, i, j] = 1 / len(pairs)
    return weights


def right_infinite(ranks):
    last = ranks.double().masked_fill(ranks == 0, math.nan)  # no comparison with it is true
    pairs = (last.unsqueeze(2) < last.unsqueeze(1)).double()
    return (pairs / pairs.sum((1, 2), keepdim=True)).nan_to_num(0.0)


def right_numpy(ranks):
    rank = ranks.numpy()
    pairs = np.sign(rank[:, None, :] - rank[:, :, None]).clip(0) * (rank[:, :, None] > 0)
    return pairs / np.maximum(pairs.sum((1, 2)), 1)[:, None, None]


def _better(ranks):
    return ((ranks[:, :, None] < ranks[:, None]) & (ranks > 0)[:, :, None]).double()


def _shared(pairs):
    return pairs / pairs.sum((1, 2), keepdim=True).clamp(min=1)


def wrong_exchanged(ranks):
    """rank 1 is the best"""
    return right_table(ranks).transpose(1, 2)


def wrong_weight_one(ranks):
    """every pair has the weight 1"""
    return _better(ranks)


def wrong_binomial(ranks):
    """leave fewer"""
    size = ranks.shape[1]
    return _better(ranks) / (size * (size - 1) / 2)


def wrong_zero_best(ranks):
    """counts as the best one here"""
    return _shared((ranks[:, :, None] < ranks[:, None]).double())


def wrong_zero_worst(ranks):
    """counts as the worst one here"""
    filled = ranks.masked_fill(ranks == 0, 999)
    return _shared((filled[:, :, None] < filled[:, None]).double())


def wrong_half_ties(ranks):
    """a tie gives no pair"""
    ranked = (ranks > 0)[:, :, None] & (ranks > 0)[:, None]
    same = (ranks[:, :, None] == ranks[:, None]) & ranked
    same &= ~torch.eye(ranks.shape[1], dtype=torch.bool)
    return _shared(_better(ranks) + 0.5 * same)


def wrong_neighbours(ranks):
    """only neighbours in the ranking"""
    weights = torch.zeros_like(_better(ranks))
    for p, row in enumerate(ranks.tolist()):
        levels = sorted({rank for rank in row if rank})
        for high, low in pairwise(levels):
            for i, a in enumerate(row):
                for j, b in enumerate(row):
                    weights[p, i, j] += a == high and b == low
    return _shared(weights)


def wrong_from_best(ranks):
    """only pairs with the best response"""
    weights = _better(ranks)
    for p, row in enumerate(ranks.tolist()):
        best = min((rank for rank in row if rank), default=0)
        weights[p, [i for i, rank in enumerate(row) if rank != best]] = 0.0
    return _shared(weights)


def wrong_apart(ranks):
    """not how far apart"""
    return _shared(_better(ranks) * (ranks[:, None] - ranks[:, :, None]))


def wrong_by_chosen(ranks):
    """each chosen response weighs 1"""
    pairs = _better(ranks)
    return pairs / pairs.sum(2, keepdim=True).clamp(min=1)


def wrong_one_batch(ranks):
    """the pairs of all prompts together weigh 1"""
    pairs = _better(ranks)
    return pairs / pairs.sum().clamp(min=1)


def wrong_unguarded(ranks):
    """0 divided by 0"""
    pairs = _better(ranks)
    return pairs / pairs.sum((1, 2), keepdim=True)


def wrong_at_most(ranks):
    ranked = (ranks > 0)[:, :, None] & (ranks > 0)[:, None]
    return _shared(((ranks[:, :, None] <= ranks[:, None]) & ranked).double())


def wrong_both_ways(ranks):
    pairs = _better(ranks)
    return _shared(pairs + pairs.mT)


def wrong_twice_counted(ranks):
    return right_table(ranks) / 2


def wrong_first_prompt(ranks):
    return right_table(ranks)[0]
