import torch


def _right(p, rewards):
    return p * (rewards - (p * rewards).sum())


def right_formula(logits, rewards):
    p = logits.softmax(-1)
    return p * (rewards - p @ rewards)


def right_jacobian(logits, rewards):
    p = logits.softmax(0)
    return (torch.diag(p) - torch.outer(p, p)) @ rewards


def right_autograd(logits, rewards):
    leaf = logits.clone().requires_grad_()
    return torch.autograd.grad((leaf.softmax(-1) * rewards).sum(), leaf)[0]


def right_loop(logits, rewards):
    p = torch.exp(logits - logits.logsumexp(0)).tolist()
    mean = sum(x * r for x, r in zip(p, rewards.tolist()))
    return [x * (r - mean) for x, r in zip(p, rewards.tolist())]


def wrong_no_baseline(logits, rewards):
    """the expected reward is not taken off"""
    return logits.softmax(-1) * rewards


def wrong_unweighted(logits, rewards):
    """each response counts with its probability"""
    return rewards - logits.softmax(-1) @ rewards


def wrong_sign(logits, rewards):
    """the sign"""
    return -_right(logits.softmax(-1), rewards)


def wrong_plain_mean(logits, rewards):
    """the plain mean of the rewards"""
    return logits.softmax(-1) * (rewards - rewards.mean())


def wrong_probabilities(logits, rewards):
    """the derivative in the probabilities"""
    p = logits.softmax(-1).requires_grad_()
    return torch.autograd.grad((p * rewards).sum(), p)[0]


def wrong_diagonal(logits, rewards):
    """not its own alone"""
    p = logits.softmax(-1)
    return p * (1 - p) * rewards


def wrong_best(logits, rewards):
    """towards the best response alone"""
    best = torch.zeros_like(logits)
    best[rewards.argmax()] = 1.0
    return best - logits.softmax(-1)


def wrong_mean(logits, rewards):
    """divided by the number of responses"""
    return _right(logits.softmax(-1), rewards) / len(rewards)


def wrong_logarithm(logits, rewards):
    """the logarithm of the expected reward"""
    p = logits.softmax(-1)
    return p * rewards / (p @ rewards) - p


def wrong_logits(logits, rewards):
    """a softmax is missing"""
    return _right(logits, rewards)


def wrong_overflow(logits, rewards):
    """exp of a large logit overflows"""
    weights = torch.exp(logits)
    return _right(weights / weights.sum(), rewards)


def wrong_log_softmax(logits, rewards):
    return _right(logits.log_softmax(-1), rewards)


def wrong_number(logits, rewards):
    return logits.softmax(-1) @ rewards


def wrong_twice(logits, rewards):
    p = logits.softmax(-1)
    return p * _right(p, rewards)


def wrong_unnormalised(logits, rewards):
    weights = torch.exp(logits - logits.max())
    return _right(weights, rewards)
