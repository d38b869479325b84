import math

import torch
import torch.nn.functional as F


def right_logsigmoid(chosen_rewards, rejected_rewards):
    return -F.logsigmoid(chosen_rewards - rejected_rewards)


def right_softplus(chosen_rewards, rejected_rewards):
    return F.softplus(rejected_rewards - chosen_rewards)


def right_two_way_softmax(chosen_rewards, rejected_rewards):
    return -torch.stack([chosen_rewards, rejected_rewards], -1).log_softmax(-1)[:, 0]


def right_cross_entropy(chosen_rewards, rejected_rewards):
    margins = chosen_rewards - rejected_rewards
    return F.binary_cross_entropy_with_logits(margins, torch.ones_like(margins), reduction="none")


def right_logsumexp(chosen_rewards, rejected_rewards):
    return torch.logaddexp(chosen_rewards, rejected_rewards) - chosen_rewards


def wrong_exchanged(chosen_rewards, rejected_rewards):
    """chosen and rejected are exchanged"""
    return -F.logsigmoid(rejected_rewards - chosen_rewards)


def wrong_sign(chosen_rewards, rejected_rewards):
    """the sign"""
    return F.logsigmoid(chosen_rewards - rejected_rewards)


def wrong_no_log(chosen_rewards, rejected_rewards):
    """the logarithm is missing"""
    return -torch.sigmoid(chosen_rewards - rejected_rewards)


def wrong_share(chosen_rewards, rejected_rewards):
    """a share of the rewards"""
    return -torch.log(chosen_rewards / (chosen_rewards + rejected_rewards))


def wrong_each_alone(chosen_rewards, rejected_rewards):
    """each response is scored by itself"""
    return -F.logsigmoid(chosen_rewards) - F.logsigmoid(-rejected_rewards)


def wrong_bits(chosen_rewards, rejected_rewards):
    """in bits"""
    return -F.logsigmoid(chosen_rewards - rejected_rewards) / math.log(2)


def wrong_exponentials(chosen_rewards, rejected_rewards):
    """overflows"""
    chosen, rejected = chosen_rewards.exp(), rejected_rewards.exp()
    return -torch.log(chosen / (chosen + rejected))


def wrong_log_of_sigmoid(chosen_rewards, rejected_rewards):
    """log(sigmoid)"""
    return -torch.log(torch.sigmoid(chosen_rewards - rejected_rewards))


def wrong_mean(chosen_rewards, rejected_rewards):
    """one number for the batch"""
    return -F.logsigmoid(chosen_rewards - rejected_rewards).mean()


def wrong_hinge(chosen_rewards, rejected_rewards):
    return torch.relu(1 - (chosen_rewards - rejected_rewards))


def wrong_difference(chosen_rewards, rejected_rewards):
    return rejected_rewards - chosen_rewards


def wrong_detached(chosen_rewards, rejected_rewards):
    return -F.logsigmoid((chosen_rewards - rejected_rewards).detach())


def wrong_rejected_detached(chosen_rewards, rejected_rewards):
    return -F.logsigmoid(chosen_rewards - rejected_rewards.detach())


def wrong_clamped(chosen_rewards, rejected_rewards):
    return -F.logsigmoid((chosen_rewards - rejected_rewards).clamp(-30, 30))


def wrong_epsilon(chosen_rewards, rejected_rewards):
    return -torch.log(torch.sigmoid(chosen_rewards - rejected_rewards) + 1e-3)
