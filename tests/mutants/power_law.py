import numpy as np
import torch


def right_polyfit(sizes, losses, floor):
    slope, start = np.polyfit(np.log(sizes.numpy()), np.log(losses.numpy() - floor), 1)
    return np.exp(start), -slope


def right_covariance(sizes, losses, floor):
    x, y = sizes.double().log(), (losses - floor).log()
    slope = ((x - x.mean()) * (y - y.mean())).mean() / x.var(correction=0)
    return (y.mean() - slope * x.mean()).exp(), -slope


def right_decades(sizes, losses, floor):
    x, y = torch.log10(sizes.double()), torch.log10(losses - floor)
    rows = torch.stack([x, torch.ones_like(x)], 1)
    slope, start = torch.linalg.pinv(rows) @ y
    return 10**start, -slope


def wrong_floor(sizes, losses, floor):
    """the floor is taken off"""
    return right_covariance(sizes, losses, 0.0)


def wrong_sign(sizes, losses, floor):
    """b is the slope with its sign turned"""
    a, b = right_covariance(sizes, losses, floor)
    return a, -b


def wrong_logarithm(sizes, losses, floor):
    """the line gives log a"""
    a, b = right_covariance(sizes, losses, floor)
    return a.log(), b


def wrong_base(sizes, losses, floor):
    """10 to the power"""
    a, b = right_covariance(sizes, losses, floor)
    return 10 ** a.log(), b


def wrong_axis(sizes, losses, floor):
    """logarithms of one axis only"""
    slope, start = np.polyfit(sizes.numpy(), np.log(losses.numpy() - floor), 1)
    return np.exp(start), -slope


def wrong_two_points(sizes, losses, floor):
    """through the first point and the last"""
    ends = [0, -1]
    return right_covariance(sizes[ends], losses[ends], floor)


def wrong_way_round(sizes, losses, floor):
    """sizes fitted to losses"""
    slope, start = np.polyfit(np.log(losses.numpy() - floor), np.log(sizes.numpy()), 1)
    return np.exp(-start / slope), -1 / slope


def wrong_added(sizes, losses, floor):
    """the floor is added"""
    return right_covariance(sizes, losses, -floor)


def wrong_linear(sizes, losses, floor):
    slope, start = np.polyfit(sizes.numpy(), losses.numpy() - floor, 1)
    return start, -slope


def wrong_order(sizes, losses, floor):
    return right_covariance(sizes, losses, floor)[::-1]


def wrong_through_one(sizes, losses, floor):
    x, y = sizes.double().log(), (losses - floor).log()
    return 1.0, -(x * y).sum() / (x * x).sum()
