import numpy as np
import torch


def right_power(sizes, temperature, rows):
    weights = sizes.double() ** (1 / temperature)
    shares = weights / weights.sum()
    return shares, rows * shares / sizes


def right_softmax(sizes, temperature, rows):
    shares = (sizes.double().log() / temperature).softmax(0)
    return [shares, shares * rows / sizes]


def right_numpy(sizes, temperature, rows):
    weights = np.power(sizes.numpy().astype(float), 1 / temperature)
    shares = weights / weights.sum()
    return shares, shares * rows / sizes.numpy()


def wrong_temperature(sizes, temperature, rows):
    """the power is 1/temperature"""
    return right_power(sizes, 1 / temperature, rows)


def wrong_softmax(sizes, temperature, rows):
    """a softmax"""
    shares = (sizes.double() / temperature).softmax(0)
    return shares, rows * shares / sizes


def wrong_no_temperature(sizes, temperature, rows):
    """the temperature is not used"""
    return right_power(sizes, 1.0, rows)


def wrong_uniform(sizes, temperature, rows):
    """all tasks alike"""
    shares = torch.full((len(sizes),), 1 / len(sizes))
    return shares.double(), rows * shares.double() / sizes


def wrong_sum(sizes, temperature, rows):
    """the shares do not add up to 1"""
    shares = sizes.double() ** (1 / temperature) / sizes.sum()
    return shares, rows * shares / sizes


def wrong_rows(sizes, temperature, rows):
    """rows, not epochs"""
    shares, _ = right_power(sizes, temperature, rows)
    return shares, rows * shares


def wrong_upside_down(sizes, temperature, rows):
    """epochs upside down"""
    shares, epochs = right_power(sizes, temperature, rows)
    return shares, 1 / epochs


def wrong_same_epochs(sizes, temperature, rows):
    """as many epochs for each task"""
    shares, _ = right_power(sizes, temperature, rows)
    return shares, torch.full((len(sizes),), rows / sizes.sum().item(), dtype=torch.float64)


def wrong_whole_epochs(sizes, temperature, rows):
    shares, epochs = right_power(sizes, temperature, rows)
    return shares, epochs.floor()


def wrong_order(sizes, temperature, rows):
    return right_power(sizes, temperature, rows)[::-1]
