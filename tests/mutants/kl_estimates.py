import math

import torch


def _plain(d):
    return d, d**2 / 2, (-d).exp() - 1 + d


def _means(values):
    return tuple(value.mean() for value in values)


def right_expm1(policy_logps, ref_logps):
    log_w = ref_logps - policy_logps
    return -log_w.mean(), log_w.square().mean() / 2, (torch.expm1(log_w) - log_w).mean()


def right_exp(policy_logps, ref_logps):
    return _means(_plain(policy_logps - ref_logps))


def right_loop(policy_logps, ref_logps):
    sums = [0.0, 0.0, 0.0]
    for p, q in zip(policy_logps.tolist(), ref_logps.tolist()):
        for place, term in enumerate((p - q, 0.5 * (p - q) ** 2, math.exp(q - p) - 1 - (q - p))):
            sums[place] += term
    return [total / len(policy_logps) for total in sums]


def right_stacked(policy_logps, ref_logps):
    d = policy_logps - ref_logps
    return torch.stack([d, d * d / 2, torch.exp(-d) + d - 1]).mean(1)


def wrong_direction(policy_logps, ref_logps):
    """not the policy's over the reference's"""
    return _means(_plain(ref_logps - policy_logps))


def wrong_no_half(policy_logps, ref_logps):
    """half of the square"""
    k1, k2, k3 = right_exp(policy_logps, ref_logps)
    return k1, 2 * k2, k3


def wrong_square_of_mean(policy_logps, ref_logps):
    """not the square of the mean"""
    k1, _, k3 = right_exp(policy_logps, ref_logps)
    return k1, k1**2 / 2, k3


def wrong_k3_sign(policy_logps, ref_logps):
    """k3 has the logarithm's sign turned"""
    k1, k2, _ = right_exp(policy_logps, ref_logps)
    log_w = ref_logps - policy_logps
    return k1, k2, (log_w.exp() - 1 + log_w).mean()


def wrong_no_logarithm(policy_logps, ref_logps):
    """k3 without the logarithm"""
    k1, k2, _ = right_exp(policy_logps, ref_logps)
    return k1, k2, (ref_logps - policy_logps).exp().mean() - 1


def wrong_no_one(policy_logps, ref_logps):
    """k3 has the 1 missing"""
    k1, k2, k3 = right_exp(policy_logps, ref_logps)
    return k1, k2, k3 + 1


def wrong_absolute(policy_logps, ref_logps):
    """k1 without its sign"""
    _, k2, k3 = right_exp(policy_logps, ref_logps)
    return (policy_logps - ref_logps).abs().mean(), k2, k3


def wrong_sums(policy_logps, ref_logps):
    """the mean of the samples"""
    return tuple(value.sum() for value in _plain(policy_logps - ref_logps))


def wrong_weighted(policy_logps, ref_logps):
    """weighed by the policy once more"""
    weights = policy_logps.exp()
    return tuple(weights @ value for value in _plain(policy_logps - ref_logps))


def wrong_underflow(policy_logps, ref_logps):
    """take the difference of logarithms first"""
    w = ref_logps.exp() / policy_logps.exp()
    return (-w.log()).mean(), (w.log() ** 2).mean() / 2, (w - 1 - w.log()).mean()


def wrong_bits(policy_logps, ref_logps):
    """natural logarithms"""
    log_w = (ref_logps - policy_logps) / math.log(2)
    w = (ref_logps - policy_logps).exp()
    return -log_w.mean(), log_w.square().mean() / 2, (w - 1 - log_w).mean()


def wrong_each(policy_logps, ref_logps):
    return _plain(policy_logps - ref_logps)


def wrong_order(policy_logps, ref_logps):
    return right_exp(policy_logps, ref_logps)[::-1]


def wrong_k3_ratio(policy_logps, ref_logps):
    k1, k2, _ = right_exp(policy_logps, ref_logps)
    d = policy_logps - ref_logps
    return k1, k2, (d.exp() - 1 - d).mean()


def wrong_one_number(policy_logps, ref_logps):
    return (policy_logps - ref_logps).mean()
