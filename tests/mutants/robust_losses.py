import torch
import torch.nn.functional as F


def right_logsigmoid(h, beta, flipped):
    kept, turned = -F.logsigmoid(beta * h), -F.logsigmoid(-beta * h)
    conservative = (1 - flipped) * kept + flipped * turned
    return conservative, ((1 - flipped) * kept - flipped * turned) / (1 - 2 * flipped)


def right_linear(h, beta, flipped):
    # -log σ(-x) = x - log σ(x)
    kept = F.softplus(-beta * h)
    robust = kept - flipped / (1 - 2 * flipped) * beta * h
    return kept + flipped * beta * h, robust


def right_cross_entropy(h, beta, flipped):
    target = torch.full_like(h, 1 - flipped)
    conservative = F.binary_cross_entropy_with_logits(beta * h, target, reduction="none")
    kept, turned = F.softplus(-beta * h), F.softplus(beta * h)
    return conservative, (kept * (1 - flipped) - turned * flipped) / (1 - 2 * flipped)


def wrong_shares(h, beta, flipped):
    """most labels are kept"""
    return right_logsigmoid(h, beta, 1 - flipped)


def wrong_direction(h, beta, flipped):
    """a positive h agrees with the label"""
    return right_logsigmoid(-h, beta, flipped)


def wrong_undivided(h, beta, flipped):
    """the robust loss is divided"""
    conservative, robust = right_logsigmoid(h, beta, flipped)
    return conservative, robust * (1 - 2 * flipped)


def wrong_robust_sign(h, beta, flipped):
    """the robust loss takes the other label's loss off"""
    conservative, _ = right_logsigmoid(h, beta, flipped)
    return conservative, conservative / (1 - 2 * flipped)


def wrong_both_divided(h, beta, flipped):
    """the conservative loss is not divided"""
    conservative, robust = right_logsigmoid(h, beta, flipped)
    return conservative / (1 - 2 * flipped), robust


def wrong_conservative_sign(h, beta, flipped):
    """the conservative loss adds"""
    _, robust = right_logsigmoid(h, beta, flipped)
    return robust * (1 - 2 * flipped), robust


def wrong_loss_of_mean(h, beta, flipped):
    """not the loss of a mean"""
    mean = (1 - flipped) * beta * h - flipped * beta * h
    return -F.logsigmoid(mean), right_logsigmoid(h, beta, flipped)[1]


def wrong_no_beta(h, beta, flipped):
    """beta is missing"""
    return right_logsigmoid(h, 1.0, flipped)


def wrong_no_share(h, beta, flipped):
    """the share of flipped labels is not used"""
    return right_logsigmoid(h, beta, 0.0)


def wrong_complement(h, beta, flipped):
    """1 minus the loss"""
    kept = -F.logsigmoid(beta * h)
    turned = 1 - kept
    conservative = (1 - flipped) * kept + flipped * turned
    return conservative, ((1 - flipped) * kept - flipped * turned) / (1 - 2 * flipped)


def wrong_order(h, beta, flipped):
    return right_logsigmoid(h, beta, flipped)[::-1]


def wrong_detached(h, beta, flipped):
    return tuple(loss.detach() for loss in right_logsigmoid(h, beta, flipped))


def wrong_overflow(h, beta, flipped):
    kept, turned = torch.log1p(torch.exp(-beta * h)), torch.log1p(torch.exp(beta * h))
    conservative = (1 - flipped) * kept + flipped * turned
    return conservative, ((1 - flipped) * kept - flipped * turned) / (1 - 2 * flipped)
