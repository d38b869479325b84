import torch
import torch.nn.functional as F


def right_shifted_by_the_largest(logits, targets):
    logits = logits - logits.max(dim=-1, keepdim=True).values
    log_normaliser = logits.exp().sum(-1).log()
    picked = logits.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return torch.where(targets == -100, 0.0, log_normaliser - picked)


def right_logsumexp(logits, targets):
    counted = targets != -100
    losses = logits.new_zeros(targets.shape)
    scores, words = logits[counted], targets[counted]
    losses[counted] = scores.logsumexp(-1) - scores[torch.arange(len(words)), words]
    return losses


def right_library(logits, targets):
    return F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")


def right_one_hot(logits, targets):
    one_hot = F.one_hot(targets.clamp(min=0), logits.shape[-1]) * (targets != -100)[..., None]
    return -(one_hot * logits.log_softmax(-1)).sum(-1)


def right_float32(logits, targets):
    return right_library(logits.float(), targets)


def _look_up(logprobs, targets):
    ignored = targets == -100
    picked = logprobs.gather(-1, targets.masked_fill(ignored, 0).unsqueeze(-1)).squeeze(-1)
    return -picked.masked_fill(ignored, 0.0)


def wrong_sign(logits, targets):
    """the sign"""
    return -_look_up(logits.log_softmax(-1), targets)


def wrong_bits(logits, targets):
    """bits, not nats"""
    largest = logits.amax(-1, keepdim=True)
    normaliser = (logits - largest).exp().sum(-1, keepdim=True)
    return _look_up((logits - largest) / torch.log(torch.tensor(2.0)) - normaliser.log2(), targets)


def wrong_no_logarithm(logits, targets):
    """the logarithm is missing"""
    return -_look_up(logits.softmax(-1), targets)


def wrong_no_softmax(logits, targets):
    """the normalisation is missing"""
    return _look_up(logits, targets)


def wrong_axis(logits, targets):
    """the softmax runs over positions"""
    return _look_up(torch.log_softmax(logits, dim=1), targets)


def wrong_ignored_have_a_loss(logits, targets):
    """positions with target -100 have a loss"""
    return -logits.log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]


def wrong_log_of_softmax(logits, targets):
    """log(softmax)"""
    return _look_up(logits.softmax(-1).log(), targets)


def wrong_overflow(logits, targets):
    """exp of large logits overflows"""
    return _look_up(logits - logits.exp().sum(-1, keepdim=True).log(), targets)


def wrong_largest_of_all(logits, targets):
    """the largest logit of the whole batch is subtracted"""
    logits = logits - logits.max()
    return _look_up(logits - logits.exp().sum(-1, keepdim=True).log(), targets)


def wrong_epsilon(logits, targets):
    return _look_up((logits.softmax(-1) + 1e-8).log(), targets)


def wrong_clamped_logits(logits, targets):
    return _look_up(logits.clamp(-50, 50).log_softmax(-1), targets)


def wrong_mean_over_words(logits, targets):
    """the normalisation"""
    return _look_up(logits, targets) + 0 * logits.logsumexp(-1)


def wrong_detached(logits, targets):
    """the graph is cut"""
    with torch.no_grad():
        return right_library(logits, targets)


def wrong_normaliser_detached(logits, targets):
    return _look_up(logits - logits.logsumexp(-1, keepdim=True).detach(), targets)


def wrong_ids_not_ignored(logits, targets):
    return -logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]


def wrong_in_place(logits, targets):
    logits -= logits.amax(-1, keepdim=True)
    return right_library(logits, targets)


def wrong_only_counted(logits, targets):
    counted = targets != -100
    return F.cross_entropy(logits[counted], targets[counted], reduction="none")
