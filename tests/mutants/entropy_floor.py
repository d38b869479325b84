import itertools
import math

import torch


def right_shares(first, following, length):
    share, total = first, torch.special.entr(first).sum()
    for _ in range(length - 1):
        total = total + share @ torch.special.entr(following).sum(-1)
        share = share @ following
    return total / length


def right_enumerated(first, following, length):
    total = 0.0
    for words in itertools.product(range(len(first)), repeat=length):
        p = float(first[words[0]]) * math.prod(
            float(following[a, b]) for a, b in itertools.pairwise(words)
        )
        total -= p * math.log(p) if p else 0.0
    return total / length


def right_powers(first, following, length):
    entropies = torch.special.entr(following).sum(-1)
    powers = [torch.linalg.matrix_power(following, k) for k in range(length - 1)]
    rest = sum(float(first @ power @ entropies) for power in powers)
    return (float(torch.special.entr(first).sum()) + rest) / length


def _entropy(p):
    return torch.special.entr(p).sum(-1)


def wrong_not_divided(first, following, length):
    """it is not divided by its length"""
    return right_shares(first, following, length) * length


def wrong_bits(first, following, length):
    """bits, not nats"""
    return right_shares(first, following, length) / math.log(2)


def wrong_first_left_out(first, following, length):
    """the first token's entropy is left out"""
    return right_shares(first, following, length) - _entropy(first) / length


def wrong_transitions(first, following, length):
    """divided by the number of transitions"""
    return right_shares(first, following, length) * length / max(length - 1, 1)


def wrong_one_more(first, following, length):
    """one transition too many"""
    return right_shares(first, following, length + 1) * (length + 1) / length


def wrong_even_weights(first, following, length):
    """the words weigh the same"""
    return (_entropy(first) + (length - 1) * _entropy(following).mean()) / length


def wrong_shares_of_the_first(first, following, length):
    """every position has the shares of the first"""
    return (_entropy(first) + (length - 1) * first @ _entropy(following)) / length


def wrong_marginals(first, following, length):
    """the entropy of each token alone"""
    share, total = first, _entropy(first)
    for _ in range(length - 1):
        share = share @ following
        total = total + _entropy(share)
    return total / length


def wrong_columns(first, following, length):
    """the table is read down its columns"""
    return right_shares(first, following.T, length)


def wrong_zero_times_log_zero(first, following, length):
    entropies = -(following * following.log()).sum(-1)
    share, total = first, -(first * first.log()).sum()
    for _ in range(length - 1):
        total, share = total + share @ entropies, share @ following
    return total / length


def wrong_long_run(first, following, length):
    share = first @ torch.linalg.matrix_power(following, 1000)
    return share @ _entropy(following)


def wrong_largest_probability(first, following, length):
    share, total = first, -first.max().log()
    for _ in range(length - 1):
        total = total - share @ following.max(-1).values.log()
        share = share @ following
    return total / length
