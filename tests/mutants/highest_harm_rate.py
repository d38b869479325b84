import math

import torch


def right_root(tested, confidence):
    return 1 - (1 - confidence) ** (1 / tested)


def right_logarithm(tested, confidence):
    return 1 - math.exp(math.log(1 - confidence) / tested)


def right_beta(tested, confidence):
    """Bisect for the rate at which no failure has the probability that is left."""
    low, high = 0.0, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        low, high = (rate, high) if (1 - rate) ** tested > 1 - confidence else (low, rate)
    return torch.tensor(low, dtype=torch.float64)


def wrong_none_seen(tested, confidence):
    """no failure was seen"""
    return 0.0


def wrong_rule_of_three(tested, confidence):
    """the rule of three"""
    return 3 / tested


def wrong_way_round(tested, confidence):
    """the wrong way round"""
    return 1 - confidence ** (1 / tested)


def wrong_success(tested, confidence):
    """the highest rate of success"""
    return (1 - confidence) ** (1 / tested)


def wrong_shared_out(tested, confidence):
    """the chance of one failure is shared out"""
    return (1 - confidence) / tested


def wrong_power(tested, confidence):
    """the power is n, not 1/n"""
    return 1 - (1 - confidence) ** tested


def wrong_estimate(tested, confidence):
    """an estimate, not a bound"""
    return 1 / (tested + 2)


def wrong_two_sided(tested, confidence):
    """both sides"""
    return 1 - ((1 - confidence) / 2) ** (1 / tested)


def wrong_poisson(tested, confidence):
    return -math.log(1 - confidence) / tested


def wrong_always_95(tested, confidence):
    return 1 - 0.05 ** (1 / tested)


def wrong_percent(tested, confidence):
    return 100 * right_root(tested, confidence)
