import math
from fractions import Fraction

import torch


def _counts(choices, swapped):
    same = choices == swapped
    return int(same.sum()), int(choices[same].sum())


def _tail(count, first):
    return sum(math.comb(count, i) for i in range(first, count + 1)) / 2**count


def _two_sided(count, first):
    return min(1.0, 2 * _tail(count, max(first, count - first)))


def _with(value):
    def found(choices, swapped):
        count, first = _counts(choices, swapped)
        return count / len(choices), value(count, first)

    return found


def right_comb(choices, swapped):
    return _with(_two_sided)(choices, swapped)


def right_both_tails(choices, swapped):
    same = [a for a, b in zip(choices.tolist(), swapped.tolist()) if a == b]
    far = abs(2 * sum(same) - len(same))
    ways = sum(
        math.comb(len(same), i)
        for i in range(len(same) + 1)
        if abs(2 * i - len(same)) >= far
    )  # fmt: skip
    return len(same) / len(choices), float(Fraction(ways, 2 ** len(same)))


def right_logarithms(choices, swapped):
    same = choices[choices == swapped].double()
    n, first = torch.tensor(len(same)).double(), same.sum()
    i = torch.arange(len(same) + 1).double()
    logs = torch.lgamma(n + 1) - torch.lgamma(i + 1) - torch.lgamma(n - i + 1)
    chances = (logs - n * math.log(2)).exp()
    tail = chances[(2 * i - n).abs() >= (2 * first - n).abs()].sum()
    return (choices == swapped).double().mean(), tail


def wrong_response(choices, swapped):
    """takes the other response"""
    return right_comb(choices, 1 - swapped)


def wrong_all_pairs(choices, swapped):
    """of all pairs, not of those"""
    count, first = _counts(choices, swapped)
    return float(count > 0), _two_sided(count, first)


def wrong_first_only(choices, swapped):
    """the second place counts too"""
    count, first = _counts(choices, swapped)
    return first / len(choices), _two_sided(count, first)


def wrong_share_of_same(choices, swapped):
    """the share of the first place among those"""
    count, first = _counts(choices, swapped)
    return first / max(count, 1), _two_sided(count, first)


def wrong_half(choices, swapped):
    """the second place taken as often would surprise"""
    return _with(lambda k, f: _tail(k, max(f, k - f)))(choices, swapped)


def wrong_one_sided(choices, swapped):
    """the chance of the first place so often or more"""
    return _with(_tail)(choices, swapped)


def wrong_above_one(choices, swapped):
    """a p-value above 1"""
    return _with(lambda k, f: 2 * _tail(k, max(f, k - f)))(choices, swapped)


def wrong_point(choices, swapped):
    """the chance of exactly this number"""
    return _with(lambda k, f: math.comb(k, f) / 2**k)(choices, swapped)


def wrong_beyond(choices, swapped):
    """what was seen belongs to the tail"""
    return _with(lambda k, f: min(1.0, 2 * _tail(k, max(f, k - f) + 1)))(choices, swapped)


def wrong_normal(choices, swapped):
    """the normal curve"""
    return _with(lambda k, f: math.erfc(abs(2 * f - k) / math.sqrt(2 * max(k, 1))))(
        choices, swapped
    )


def wrong_all_labels(choices, swapped):
    """says nothing of places"""
    share = (choices == swapped).double().mean()
    return share, _two_sided(2 * len(choices), int(choices.sum() + swapped.sum()))


def wrong_first_round(choices, swapped):
    """the first round of labels alone"""
    share = (choices == swapped).double().mean()
    return share, _two_sided(len(choices), int(choices.sum()))


def wrong_small_powers(choices, swapped):
    def value(count, first):
        top = max(first, count - first)
        return min(1.0, 2 * sum(math.comb(count, i) * 0.5**count for i in range(top, count + 1)))

    return _with(value)(choices, swapped)


def wrong_nothing_left(choices, swapped):
    return _with(lambda k, f: _two_sided(k, f) if k else 0.0)(choices, swapped)


def wrong_second_tail(choices, swapped):
    return _with(lambda k, f: min(1.0, 2 * _tail(k, f)))(choices, swapped)
