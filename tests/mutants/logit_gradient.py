import torch
import torch.nn.functional as F


def right_formula(logits, targets):
    counted = targets != -100
    gradient = logits.softmax(-1)
    gradient = gradient - F.one_hot(targets.masked_fill(~counted, 0), logits.shape[-1])
    return gradient * counted.unsqueeze(-1) / counted.sum()


def right_loop(logits, targets):
    gradient, count = torch.zeros_like(logits), int((targets != -100).sum())
    for b, row in enumerate(targets.tolist()):
        for n, word in enumerate(row):
            if word != -100:
                gradient[b, n] = (logits[b, n] - logits[b, n].logsumexp(0)).exp()
                gradient[b, n, word] -= 1
    return gradient / count


def right_autograd(logits, targets):
    logits = logits.clone().requires_grad_()
    F.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
    return logits.grad


def _one_hot(logits, targets):
    return F.one_hot(targets.clamp(min=0), logits.shape[-1]) * (targets != -100)[..., None]


def wrong_sign(logits, targets):
    """the sign"""
    counted = (targets != -100)[..., None]
    return (_one_hot(logits, targets) - logits.softmax(-1)) * counted / counted.sum()


def wrong_sum(logits, targets):
    """it is not divided"""
    return (logits.softmax(-1) - _one_hot(logits, targets)) * (targets != -100)[..., None]


def wrong_all_positions(logits, targets):
    """divided by all positions"""
    return wrong_sum(logits, targets) / targets.numel()


def wrong_rows(logits, targets):
    """divided by the number of rows"""
    return wrong_sum(logits, targets) / targets.shape[0]


def wrong_ignored(logits, targets):
    """positions with target -100 have a gradient"""
    return (logits.softmax(-1) - _one_hot(logits, targets)) / (targets != -100).sum()


def wrong_probabilities(logits, targets):
    """the 1 of the demonstrated word is not subtracted"""
    counted = (targets != -100)[..., None]
    return logits.softmax(-1) * counted / counted.sum()


def wrong_axis(logits, targets):
    """the softmax runs over positions"""
    counted = (targets != -100)[..., None]
    return (logits.softmax(1) - _one_hot(logits, targets)) * counted / counted.sum()


def wrong_overflow(logits, targets):
    """exp of large logits overflows"""
    counted = (targets != -100)[..., None]
    p = logits.exp() / logits.exp().sum(-1, keepdim=True)
    return (p - _one_hot(logits, targets)) * counted / counted.sum()


def wrong_target_only(logits, targets):
    one_hot = _one_hot(logits, targets)
    return (logits.softmax(-1) - 1) * one_hot / (targets != -100).sum()


def wrong_in_probabilities(logits, targets):
    one_hot = _one_hot(logits, targets)
    return -one_hot / logits.softmax(-1) / (targets != -100).sum()


def wrong_coarse_difference(logits, targets):
    gradient, step = torch.zeros_like(logits), 0.1
    before = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    for place in range(logits.numel()):
        moved = logits.flatten().clone()
        moved[place] += step
        after = F.cross_entropy(moved.reshape(-1, logits.shape[-1]), targets.flatten())
        gradient.view(-1)[place] = (after - before) / step
    return gradient
