import math
import statistics

import numpy as np


def right_torch(known, new):
    gaps = (known - new).double()
    return gaps.mean(), gaps.std() / math.sqrt(len(gaps))


def right_statistics(known, new):
    gaps = [a - b for a, b in zip(known.tolist(), new.tolist())]
    return statistics.fmean(gaps), statistics.stdev(gaps) / len(gaps) ** 0.5


def right_counts(known, new):
    """Only the cases whose outcome changed count, as in McNemar's test."""
    n = len(known)
    lost, won = int(((known == 1) & (new == 0)).sum()), int(((known == 0) & (new == 1)).sum())
    gap = (lost - won) / n
    return gap, math.sqrt(((lost + won) / n - gap**2) / (n - 1))


def right_numpy(known, new):
    gaps = known.numpy() - new.numpy()
    return gaps.mean(), np.sqrt(np.var(gaps, ddof=1) / len(gaps))


def wrong_unpaired(known, new):
    """as if the cases were not the same"""
    gap = (known - new).double().mean()
    return gap, ((known.double().var() + new.double().var()) / len(known)).sqrt()


def wrong_single_cases(known, new):
    """the spread of single cases"""
    gaps = (known - new).double()
    return gaps.mean(), gaps.std()


def wrong_by_n(known, new):
    """divided by n, not by its root"""
    gaps = (known - new).double()
    return gaps.mean(), gaps.std() / len(gaps)


def wrong_variance(known, new):
    """the variance"""
    gaps = (known - new).double()
    return gaps.mean(), gaps.var() / len(gaps)


def wrong_correction(known, new):
    """divided by n under the root"""
    gaps = (known - new).numpy()
    return gaps.mean(), gaps.std() / math.sqrt(len(gaps))


def wrong_sign(known, new):
    """new minus known"""
    return right_torch(new, known)


def wrong_interval(known, new):
    """half the width of an interval"""
    gap, error = right_torch(known, new)
    return gap, 1.96 * error


def wrong_absolute(known, new):
    """the differences without their sign"""
    return (known - new).abs().double().mean(), right_torch(known, new)[1]


def wrong_binomial(known, new):
    gap = (known - new).double().mean()
    return gap, (gap.abs() * (1 - gap.abs()) / len(known)).sqrt()


def wrong_relative(known, new):
    gap, error = right_torch(known, new)
    return gap / known.double().mean(), error
