import math
from fractions import Fraction
from itertools import combinations, pairwise

import torch


def _chances(size, n):
    whole = math.comb(size, n)
    return torch.tensor([math.comb(k, n - 1) / whole for k in range(size)], dtype=torch.float64)


def right_binomials(proxy, true, n):
    order = proxy.argsort()
    chances = _chances(len(proxy), n)
    return chances @ proxy[order], chances @ true[order]


def right_from_the_top(proxy, true, n):
    size, chance, sums = len(proxy), n / len(proxy), [0.0, 0.0]
    for place, i in enumerate(proxy.argsort(descending=True).tolist()):
        sums[0] += chance * proxy[i].item()
        sums[1] += chance * true[i].item()
        left = size - place - 1
        chance *= (left - n + 1) / left if left else 0.0
    return tuple(sums)


def right_logarithms(proxy, true, n):
    below = (proxy[:, None] > proxy).sum(1).double()
    size = torch.tensor(float(len(proxy)), dtype=torch.float64)
    logs = (below + 1).lgamma() - (below - n + 2).clamp(min=1).lgamma() - math.lgamma(n)
    logs = logs - (size + 1).lgamma() + (size - n + 1).lgamma() + math.lgamma(n + 1)
    chances = torch.where(below >= n - 1, logs.exp(), 0.0)
    return (chances * proxy).sum(), (chances * true).sum()


def right_fractions(proxy, true, n):
    size = len(proxy)
    scored = sorted(zip(proxy.tolist(), true.tolist()))
    at_most = [Fraction(math.comb(k, n), math.comb(size, n)) for k in range(size + 1)]
    chances = [float(high - low) for low, high in pairwise(at_most)]
    return tuple(
        math.fsum(chance * pair[place] for chance, pair in zip(chances, scored)) for place in (0, 1)
    )


def _weighed(chances, proxy, true):
    order = proxy.argsort()
    chances = torch.tensor(chances, dtype=torch.float64)
    return (chances * proxy[order]).sum(), (chances * true[order]).sum()


def wrong_with_replacement(proxy, true, n):
    """no response is drawn twice"""
    places = torch.arange(len(proxy) + 1, dtype=torch.float64) / len(proxy)
    chances = (places**n).diff()
    order = proxy.argsort()
    return chances @ proxy[order], chances @ true[order]


def wrong_true_picks(proxy, true, n):
    """the proxy picks"""
    return right_binomials(true, proxy, n)[::-1]


def wrong_two_best(proxy, true, n):
    """two best ones"""
    return right_binomials(proxy, true, n)[0], right_binomials(true, true, n)[0]


def wrong_worst(proxy, true, n):
    """the worst of those drawn"""
    order = proxy.argsort(descending=True)
    chances = _chances(len(proxy), n)
    return chances @ proxy[order], chances @ true[order]


def wrong_best_of_all(proxy, true, n):
    """the best of all"""
    return proxy.max(), true[proxy.argmax()]


def wrong_mean(proxy, true, n):
    """the mean of all"""
    return proxy.mean(), true.mean()


def wrong_one_draw(proxy, true, n):
    """one draw"""
    best = proxy[:n].argmax()
    return proxy[best], true[best]


def wrong_order(proxy, true, n):
    """follow the order of the proxy"""
    chances = _chances(len(proxy), n)
    return chances @ proxy.sort().values, chances @ true


def wrong_at_most(proxy, true, n):
    """one of them has to be this one"""
    size = len(proxy)
    chances = [math.comb(k, n) / math.comb(size, n) for k in range(1, size + 1)]
    return _weighed(chances, proxy, true)


def wrong_others(proxy, true, n):
    """n - 1 others"""
    size = len(proxy)
    chances = [math.comb(k, n) / math.comb(size, n) for k in range(size)]
    return _weighed(chances, proxy, true)


def wrong_floats(proxy, true, n):
    """numbers too large for a float"""
    k = torch.arange(1, len(proxy) + 1, dtype=torch.float64)
    size = torch.tensor(float(len(proxy)), dtype=torch.float64)

    def comb(a, b):
        return (torch.lgamma(a + 1) - math.lgamma(b + 1) - torch.lgamma(a - b + 1)).exp()

    chances = torch.where(k >= n, comb((k - 1).clamp(min=n - 1), n - 1) / comb(size, n), 0.0)
    order = proxy.argsort()
    return (chances * proxy[order]).sum(), (chances * true[order]).sum()


def wrong_simulated(proxy, true, n):
    draws = torch.stack([torch.randperm(len(proxy))[:n] for _ in range(200)])
    best = draws.gather(1, proxy[draws].argmax(1, keepdim=True))[:, 0]
    return proxy[best].mean(), true[best].mean()


def wrong_groups(proxy, true, n):
    whole = len(proxy) // n * n
    groups = proxy[:whole].reshape(-1, n)
    best = groups.argmax(1, keepdim=True)
    picked = true[:whole].reshape(-1, n).gather(1, best)
    return groups.amax(1).mean(), picked.mean()


def wrong_neighbours(proxy, true, n):
    listed = list(combinations(range(len(proxy)), n)) if len(proxy) < 20 else [(0,)]
    best = [max(draw) for draw in listed]
    return proxy[best].mean(), true[best].mean()


def wrong_quantile(proxy, true, n):
    order = proxy.argsort()
    place = min(round(len(proxy) * n / (n + 1)), len(proxy) - 1)
    return proxy[order[place]], true[order[place]]
