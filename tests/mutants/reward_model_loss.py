import torch
import torch.nn.functional as F


def right_logsigmoid(chosen, rejected, centre):
    loss = -F.logsigmoid(chosen - rejected).mean()
    return loss + centre * (chosen + rejected).square().mean()


def right_softplus(chosen, rejected, centre):
    return (F.softplus(rejected - chosen) + centre * (chosen + rejected) ** 2).mean()


def right_cross_entropy(chosen, rejected, centre):
    scores = torch.stack([chosen, rejected], -1)
    first = torch.zeros(len(chosen), dtype=torch.long)
    return F.cross_entropy(scores, first) + centre * (scores.sum(-1) ** 2).mean()


def right_loop(chosen, rejected, centre):
    total = 0.0
    for c, r in zip(chosen, rejected):
        total = total - F.logsigmoid(c - r) + centre * (c + r) ** 2
    return total / len(chosen)


def wrong_exchanged(chosen, rejected, centre):
    """chosen and rejected are exchanged"""
    return right_logsigmoid(rejected, chosen, centre)


def wrong_sign(chosen, rejected, centre):
    """the sign"""
    return (F.logsigmoid(chosen - rejected) + centre * (chosen + rejected) ** 2).mean()


def wrong_probability(chosen, rejected, centre):
    """the logarithm is missing"""
    return (centre * (chosen + rejected) ** 2 - torch.sigmoid(chosen - rejected)).mean()


def wrong_log_of_sigmoid(chosen, rejected, centre):
    """log(sigmoid)"""
    loss = -torch.log(torch.sigmoid(chosen - rejected)).mean()
    return loss + centre * (chosen + rejected).square().mean()


def wrong_two_squares(chosen, rejected, centre):
    """not the sum of two squares"""
    return (F.softplus(rejected - chosen) + centre * (chosen**2 + rejected**2)).mean()


def wrong_difference(chosen, rejected, centre):
    """not the difference"""
    return (F.softplus(rejected - chosen) + centre * (chosen - rejected) ** 2).mean()


def wrong_mean_of_two(chosen, rejected, centre):
    """not their mean"""
    return (F.softplus(rejected - chosen) + centre * ((chosen + rejected) / 2) ** 2).mean()


def wrong_squared_last(chosen, rejected, centre):
    """squared pair by pair"""
    return F.softplus(rejected - chosen).mean() + centre * (chosen + rejected).mean() ** 2


def wrong_not_squared(chosen, rejected, centre):
    """not squared"""
    return (F.softplus(rejected - chosen) + centre * (chosen + rejected)).mean()


def wrong_no_coefficient(chosen, rejected, centre):
    """the coefficient is missing"""
    return right_logsigmoid(chosen, rejected, 1.0)


def wrong_coefficient_on_all(chosen, rejected, centre):
    """the coefficient weighs the second part alone"""
    return centre * right_logsigmoid(chosen, rejected, 1.0)


def wrong_no_centring(chosen, rejected, centre):
    """the second part is missing"""
    return -F.logsigmoid(chosen - rejected).mean()


def wrong_sum(chosen, rejected, centre):
    """the sum over the pairs"""
    return (F.softplus(rejected - chosen) + centre * (chosen + rejected) ** 2).sum()


def wrong_each(chosen, rejected, centre):
    """a loss for each pair"""
    return F.softplus(rejected - chosen) + centre * (chosen + rejected) ** 2


def wrong_detached(chosen, rejected, centre):
    return right_logsigmoid(chosen, rejected, centre).item()


def wrong_level_detached(chosen, rejected, centre):
    level = (chosen + rejected).detach()
    return (F.softplus(rejected - chosen) + centre * level**2).mean()


def wrong_overflow(chosen, rejected, centre):
    loss = torch.log(1 + torch.exp(rejected - chosen))
    return (loss + centre * (chosen + rejected) ** 2).mean()


def wrong_taken_off(chosen, rejected, centre):
    return right_logsigmoid(chosen, rejected, -centre)


def wrong_mixture(chosen, rejected, centre):
    choices, level = F.softplus(rejected - chosen), (chosen + rejected) ** 2
    return ((1 - centre) * choices + centre * level).mean()
