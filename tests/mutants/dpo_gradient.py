import torch
import torch.nn.functional as F


def _weight(chosen, rejected, ref_chosen, ref_rejected, beta):
    h = (chosen - ref_chosen) - (rejected - ref_rejected)
    return beta * torch.sigmoid(-beta * h) / len(h)


def right_formula(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    weight = _weight(
        policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
    )
    return -weight, weight


def right_loop(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    slopes = []
    logps = (policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps)
    for c, r, rc, rr in zip(*logps):
        slopes.append(beta * (1 - torch.sigmoid(beta * (c - rc - r + rr))) / len(logps[0]))
    return -torch.stack(slopes), torch.stack(slopes)


def right_autograd(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    chosen, rejected = (
        x.clone().requires_grad_() for x in (policy_chosen_logps, policy_rejected_logps)
    )
    h = (chosen - ref_chosen_logps) - (rejected - ref_rejected_logps)
    return torch.autograd.grad(-F.logsigmoid(beta * h).mean(), (chosen, rejected))


def wrong_sign(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    """the sign"""
    weight = _weight(
        policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
    )
    return weight, -weight


def wrong_sum(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    """the sum over the pairs"""
    weight = _weight(
        policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
    )
    return -weight * len(weight), weight * len(weight)


def wrong_no_beta(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    """beta is missing"""
    weight = _weight(
        policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
    )
    return -weight / beta, weight / beta


def wrong_weight(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    """that of a pair that is right already"""
    h = policy_chosen_logps - ref_chosen_logps - policy_rejected_logps + ref_rejected_logps
    weight = beta * torch.sigmoid(beta * h) / len(h)
    return -weight, weight


def wrong_derivative(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    """the derivative of the sigmoid"""
    h = policy_chosen_logps - ref_chosen_logps - policy_rejected_logps + ref_rejected_logps
    right = torch.sigmoid(beta * h)
    weight = beta * right * (1 - right) / len(h)
    return -weight, weight


def wrong_constant(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    """before the first step"""
    weight = torch.full_like(policy_chosen_logps, beta / (2 * len(policy_chosen_logps)))
    return -weight, weight


def wrong_both_raised(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    """both log-probabilities are raised"""
    weight = _weight(
        policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
    )
    return -weight, -weight


def wrong_chosen_alone(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    """the rejected response has a gradient too"""
    weight = _weight(
        policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
    )
    return -weight, torch.zeros_like(weight)


def wrong_no_reference(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    """the reference is missing"""
    weight = _weight(policy_chosen_logps, policy_rejected_logps, 0.0, 0.0, beta)
    return -weight, weight


def wrong_beta_twice(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    weight = _weight(
        policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
    )
    return -beta * weight, beta * weight


def wrong_halved(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    weight = _weight(
        policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
    )
    return -weight / 2, weight / 2


def wrong_overflow(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    h = policy_chosen_logps - ref_chosen_logps - policy_rejected_logps + ref_rejected_logps
    weight = beta * torch.exp(-beta * h) / (1 + torch.exp(-beta * h)) / len(h)
    return -weight, weight
