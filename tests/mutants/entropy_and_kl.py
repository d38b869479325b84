import math

import torch


def right_seen_only(counts, log_q):
    seen = counts > 0
    p = counts[seen] / counts.sum()
    cross_entropy, entropy = -(p * log_q[seen]).sum(), -(p * p.log()).sum()
    return cross_entropy, entropy, (p * (p.log() - log_q[seen])).sum()


def right_difference(counts, log_q):
    total, cross_entropy, entropy = counts.sum().item(), 0.0, 0.0
    for count, q in zip(counts.tolist(), log_q.tolist()):
        if count:
            cross_entropy -= count / total * q
            entropy -= count / total * math.log(count / total)
    return cross_entropy, entropy, cross_entropy - entropy


def right_where(counts, log_q):
    p = counts.double() / counts.sum()
    zero = torch.zeros_like(p)
    cross_entropy = torch.where(p > 0, -p * log_q, zero).sum()
    entropy = torch.special.entr(p).sum()
    return torch.stack([cross_entropy, entropy, cross_entropy - entropy])


def _shares(counts):
    return counts.double() / counts.sum()


def wrong_reversed(counts, log_q):
    """the divergence is the wrong way round"""
    p, q = _shares(counts), log_q.exp()
    cross_entropy, entropy, _ = right_where(counts, log_q)
    return cross_entropy, entropy, (q * (log_q - p.log())).sum()


def wrong_entropy_of_model(counts, log_q):
    """this is the entropy of the model"""
    cross_entropy = right_where(counts, log_q)[0]
    entropy = torch.special.entr(log_q.exp()).sum()
    return cross_entropy, entropy, cross_entropy - entropy


def wrong_bits(counts, log_q):
    """bits, not nats"""
    return right_where(counts, log_q) / math.log(2)


def wrong_sign(counts, log_q):
    """the sign"""
    return -right_where(counts, log_q)


def wrong_counts(counts, log_q):
    """the counts are not divided"""
    seen = counts > 0
    n = counts[seen].double()
    cross_entropy, entropy = -(n * log_q[seen]).sum(), -(n * n.log()).sum()
    return cross_entropy, entropy, cross_entropy - entropy


def wrong_mean(counts, log_q):
    """the responses weigh the same"""
    return right_where(torch.ones_like(counts), log_q)


def wrong_zero_times_infinity(counts, log_q):
    """0 times minus infinity"""
    p = _shares(counts)
    return -(p * log_q).sum(), -(p * p.log()).sum(), (p * (p.log() - log_q)).sum()


def wrong_epsilon(counts, log_q):
    p = _shares(counts) + 1e-3
    log_q = log_q.clamp(min=-20)
    return -(p * log_q).sum(), -(p * p.log()).sum(), (p * (p.log() - log_q)).sum()


def wrong_infinities_hidden(counts, log_q):
    return right_where(counts, log_q.clamp(min=-100))


def wrong_probabilities_of_model(counts, log_q):
    return right_where(counts, log_q.exp())


def wrong_order(counts, log_q):
    cross_entropy, entropy, kl = right_where(counts, log_q)
    return kl, entropy, cross_entropy


def wrong_kl_only(counts, log_q):
    return right_where(counts, log_q)[2]
