import math
import statistics

import numpy as np
import torch


def _gains(near, far):
    return near.mean() - 0.5, far.mean() - 0.5


def _errors(near, far):
    return near.std() / math.sqrt(len(near)), far.std() / math.sqrt(len(far))


def right_torch(near, far):
    (gain, other), (e, f) = _gains(near, far), _errors(near, far)
    share = other / gain
    return share, (f**2 + (share * e) ** 2).sqrt() / gain


def right_statistics(near, far):
    near, far = near.tolist(), far.tolist()
    a, b = statistics.fmean(near) - 0.5, statistics.fmean(far) - 0.5
    variance = statistics.variance(far) / len(far) / a**2
    variance += b**2 / a**4 * statistics.variance(near) / len(near)
    return b / a, math.sqrt(variance)


def right_autograd(near, far):
    means = torch.stack([near.mean(), far.mean()]).requires_grad_()
    share = (means[1] - 0.5) / (means[0] - 0.5)
    (slope,) = torch.autograd.grad(share, means)
    variances = torch.stack([near.var() / len(near), far.var() / len(far)])
    return share.detach(), (slope.square() @ variances).sqrt()


def right_numpy(near, far):
    near, far = 2 * near.numpy() - 1, 2 * far.numpy() - 1
    share = far.mean() / near.mean()
    e, f = near.std(ddof=1) / np.sqrt(len(near)), far.std(ddof=1) / np.sqrt(len(far))
    return share, np.hypot(f, share * e) / near.mean()


def wrong_rates(near, far):
    """the ratio of two win rates"""
    share, (e, f) = far.mean() / near.mean(), _errors(near, far)
    return share, (f**2 + (share * e) ** 2).sqrt() / near.mean()


def wrong_upside_down(near, far):
    """upside down"""
    return right_torch(far, near)


def wrong_difference(near, far):
    """the difference of the two gains"""
    e, f = _errors(near, far)
    return far.mean() - near.mean(), (e**2 + f**2).sqrt()


def wrong_near_known(near, far):
    """the near gain is measured too"""
    gain, other = _gains(near, far)
    return other / gain, _errors(near, far)[1] / gain


def wrong_far_known(near, far):
    """the far gain is measured too"""
    gain, other = _gains(near, far)
    return other / gain, (other / gain).abs() * _errors(near, far)[0] / gain


def wrong_same_weight(near, far):
    """moves the share by the share itself"""
    (gain, other), (e, f) = _gains(near, far), _errors(near, far)
    return other / gain, (e**2 + f**2).sqrt() / gain


def wrong_not_divided(near, far):
    """the error is divided by the near gain"""
    (gain, other), (e, f) = _gains(near, far), _errors(near, far)
    return other / gain, (f**2 + (other / gain * e) ** 2).sqrt()


def wrong_added(near, far):
    """add up in their squares"""
    (gain, other), (e, f) = _gains(near, far), _errors(near, far)
    return other / gain, (f + (other / gain).abs() * e) / gain


def wrong_taken_off(near, far):
    """not taken off"""
    (gain, other), (e, f) = _gains(near, far), _errors(near, far)
    return other / gain, (f**2 - (other / gain * e) ** 2).abs().sqrt() / gain


def wrong_relative(near, far):
    """relative errors"""
    (gain, other), (e, f) = _gains(near, far), _errors(near, far)
    return other / gain, other / gain * ((e / gain) ** 2 + (f / other) ** 2).sqrt()


def wrong_variance(near, far):
    """the variance: take its root"""
    share, error = right_torch(near, far)
    return share, error**2


def wrong_single_prompts(near, far):
    """the spread of single prompts"""
    gain, other = _gains(near, far)
    share = other / gain
    return share, (far.var() + share**2 * near.var()).sqrt() / gain


def wrong_ties(near, far):
    """a tie counts as half a win"""
    return right_torch((near > 0.5).double(), (far > 0.5).double())


def wrong_one_number(near, far):
    (gain, other), e, f = _gains(near, far), near.std(), far.std()
    share = other / gain
    return share, (f**2 + (share * e) ** 2).sqrt() / gain / math.sqrt(len(near) + len(far))


def wrong_interval(near, far):
    share, error = right_torch(near, far)
    return share, 1.96 * error


def wrong_clipped(near, far):
    share, error = right_torch(near, far)
    return share.clamp(0, 0.3), error
