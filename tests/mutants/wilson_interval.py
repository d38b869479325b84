import math

import numpy as np
import torch


def right_centre(right, asked, z):
    p, zz = right / asked, z * z / asked
    centre = (p + zz / 2) / (1 + zz)
    half = z * math.sqrt(p * (1 - p) / asked + zz / (4 * asked)) / (1 + zz)
    return centre - half, centre + half


def right_roots(right, asked, z):
    roots = np.roots([asked + z * z, -(2 * right + z * z), right * right / asked])
    return sorted(float(root.real) for root in roots)


def right_counts(right, asked, z):
    wrong, both = asked - right, asked + z * z
    root = torch.tensor(right * wrong / asked + z * z / 4, dtype=torch.float64).sqrt()
    return torch.stack([right + z * z / 2 - z * root, right + z * z / 2 + z * root]) / both


def wrong_wald(right, asked, z):
    """the plain interval"""
    p = right / asked
    half = z * math.sqrt(p * (1 - p) / asked)
    return p - half, p + half


def wrong_standard_deviation(right, asked, z):
    """the standard error is divided by"""
    p = right / asked
    half = z * math.sqrt(p * (1 - p))
    return p - half, p + half


def wrong_around_the_share(right, asked, z):
    """the interval lies around p"""
    low, high = right_centre(right, asked, z)
    p, half = right / asked, (high - low) / 2
    return p - half, p + half


def wrong_term(right, asked, z):
    """z²/4 is missing under the root"""
    low, high = right_centre(right, asked, z)
    p = right / asked
    half = z * math.sqrt(p * (1 - p) / asked) / (1 + z * z / asked)
    return (low + high) / 2 - half, (low + high) / 2 + half


def wrong_always_95(right, asked, z):
    """z is not used"""
    return right_centre(right, asked, 1.96)


def wrong_order(right, asked, z):
    """the higher bound comes first"""
    return right_centre(right, asked, z)[::-1]


def wrong_half_z(right, asked, z):
    """half of z"""
    return right_centre(right, asked, z / 2)


def wrong_percent(right, asked, z):
    """percent, not shares"""
    return [100 * bound for bound in right_centre(right, asked, z)]


def wrong_add_two(right, asked, z):
    return wrong_wald(right + 2, asked + 4, z)


def wrong_clipped_wald(right, asked, z):
    low, high = wrong_wald(right, asked, z)
    return max(low, 0.0), min(high, 1.0)


def wrong_half_width(right, asked, z):
    low, high = right_centre(right, asked, z)
    return (high - low) / 2


def wrong_denominator(right, asked, z):
    p = right / asked
    centre = p + z * z / (2 * asked)
    half = z * math.sqrt(p * (1 - p) / asked + z * z / (4 * asked**2))
    return centre - half, centre + half
