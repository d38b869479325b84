import math

import torch


def _held(counts, smoothing):
    smoothed = counts.double() + smoothing
    return smoothed / smoothed.sum(-1, keepdim=True)


def _nats(weights, q):
    """Return the nats of each response, weighed, 0 where its weight is 0."""
    return torch.where(weights > 0, -weights * q.log(), torch.zeros_like(q))


def right_where(counts, truth, smoothing):
    q = _held(counts, smoothing)
    return _nats(counts, q).sum() / counts.sum(), _nats(truth, q).sum(-1).mean()


def right_loop(counts, truth, smoothing):
    seen = new = 0.0
    for row, true in zip(counts.tolist(), truth.tolist()):
        total = sum(row) + len(row) * smoothing
        for count, p in zip(row, true):
            q = (count + smoothing) / total
            seen -= count * math.log(q) if count else 0.0
            new -= p * (math.log(q) if q else -math.inf) if p else 0.0
    return seen / counts.sum().item(), new / len(counts)


def right_masked(counts, truth, smoothing):
    log_q = _held(counts, smoothing).log()
    seen, comes = counts > 0, truth > 0
    old = -(counts[seen] * log_q[seen]).sum() / counts.sum()
    return torch.stack([old, -(truth[comes] * log_q[comes]).sum() / counts.shape[0]])


def wrong_prompts_weigh_the_same(counts, truth, smoothing):
    """the prompts weigh the same in the training loss"""
    shares = counts / counts.sum(-1, keepdim=True)
    old = _nats(shares, _held(counts, smoothing)).sum(-1).mean()
    return old, right_where(counts, truth, smoothing)[1]


def wrong_new_weighed(counts, truth, smoothing):
    """new examples weigh by the training examples"""
    weights = counts.sum(-1) / counts.sum()
    new = (weights * _nats(truth, _held(counts, smoothing)).sum(-1)).sum()
    return right_where(counts, truth, smoothing)[0], new


def wrong_sum(counts, truth, smoothing):
    """summed over the prompts"""
    old, new = right_where(counts, truth, smoothing)
    return old, new * len(counts)


def wrong_not_normalised(counts, truth, smoothing):
    """the probabilities do not add up to 1"""
    q = (counts + smoothing) / (counts.sum(-1, keepdim=True) + smoothing)
    return _nats(counts, q).sum() / counts.sum(), _nats(truth, q).sum(-1).mean()


def wrong_no_smoothing(counts, truth, smoothing):
    """smoothing is not used"""
    return right_where(counts, truth, 0.0)


def wrong_way_round(counts, truth, smoothing):
    """the wrong way round"""
    new = _nats(_held(counts, smoothing), truth).sum(-1).mean()
    return right_where(counts, truth, smoothing)[0], new


def wrong_floor(counts, truth, smoothing):
    """this is the floor"""
    new = torch.special.entr(truth).sum(-1).mean()
    return right_where(counts, truth, smoothing)[0], new


def wrong_one_model(counts, truth, smoothing):
    """one model for all prompts"""
    q = _held(counts.sum(0, keepdim=True), smoothing).expand(counts.shape)
    return _nats(counts, q).sum() / counts.sum(), _nats(truth, q).sum(-1).mean()


def wrong_zero_times_infinity(counts, truth, smoothing):
    """0 times infinity"""
    log_q = _held(counts, smoothing).log()
    return -(counts * log_q).sum() / counts.sum(), -(truth * log_q).sum(-1).mean()


def wrong_bits(counts, truth, smoothing):
    """bits, not nats"""
    return [value / math.log(2) for value in right_where(counts, truth, smoothing)]


def wrong_epsilon(counts, truth, smoothing):
    return right_where(counts, truth, max(smoothing, 0.01))


def wrong_sign(counts, truth, smoothing):
    return [-value for value in right_where(counts, truth, smoothing)]


def wrong_order(counts, truth, smoothing):
    return right_where(counts, truth, smoothing)[::-1]


def wrong_training_on_truth(counts, truth, smoothing):
    _, new = right_where(counts, truth, smoothing)
    return new, new


def wrong_infinity_hidden(counts, truth, smoothing):
    return [value.clamp(max=20) for value in right_where(counts, truth, smoothing)]
