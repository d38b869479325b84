import math

import numpy as np
import torch


def right_math(total_losses, token_counts):
    return math.exp(sum(total_losses) / sum(token_counts))


def right_torch(total_losses, token_counts):
    losses = torch.tensor(total_losses, dtype=torch.float64)
    return (losses.sum() / torch.tensor(token_counts).sum()).exp()


def right_numpy(total_losses, token_counts):
    return np.exp(np.sum(total_losses) / np.sum(token_counts))


def right_weighted_means(total_losses, token_counts):
    pairs = [(x / n, n) for x, n in zip(total_losses, token_counts) if n]
    return math.e ** float(np.average([m for m, _ in pairs], weights=[n for _, n in pairs]))


def wrong_mean_of_perplexities(total_losses, token_counts):
    """the mean of the batches' perplexities"""
    values = [math.exp(x / n) for x, n in zip(total_losses, token_counts)]
    return sum(values) / len(values)


def wrong_mean_of_means(total_losses, token_counts):
    """the batches' means weigh the same"""
    return math.exp(np.mean([x / n for x, n in zip(total_losses, token_counts)]))


def wrong_no_exponential(total_losses, token_counts):
    """the exponential is missing"""
    return sum(total_losses) / sum(token_counts)


def wrong_base(total_losses, token_counts):
    """2 to the power of a loss in nats"""
    return 2 ** (sum(total_losses) / sum(token_counts))


def wrong_sign(total_losses, token_counts):
    """the probability of a token"""
    return math.exp(-sum(total_losses) / sum(token_counts))


def wrong_batches(total_losses, token_counts):
    """divided by the number of batches"""
    return math.exp(sum(total_losses) / len(total_losses))


def wrong_sum(total_losses, token_counts):
    return math.exp(sum(total_losses))


def wrong_overflow(total_losses, token_counts):
    return math.exp(sum(total_losses)) ** (1 / sum(token_counts))


def wrong_product(total_losses, token_counts):
    probability = math.prod(math.exp(-x) for x in total_losses)
    return probability ** (-1 / sum(token_counts))


def wrong_clamped(total_losses, token_counts):
    return math.exp(min(sum(total_losses) / sum(token_counts), 5))


def wrong_string(total_losses, token_counts):
    return f"{right_math(total_losses, token_counts):.6f}"
