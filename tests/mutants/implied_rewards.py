import torch


def right_torch(log_policy, log_ref, beta):
    rewards = beta * (log_policy - log_ref)
    return rewards - rewards.mean(-1, keepdim=True)


def right_centred_first(log_policy, log_ref, beta):
    ours = log_policy - log_policy.mean(1)[:, None]
    return beta * (ours - (log_ref - log_ref.mean(1)[:, None]))


def right_loop(log_policy, log_ref, beta):
    rows = [(ours - theirs) * beta for ours, theirs in zip(log_policy, log_ref)]
    return torch.stack([row - row.sum() / len(row) for row in rows])


def wrong_constant(log_policy, log_ref, beta):
    """the constant"""
    return beta * (log_policy - log_ref)


def wrong_one_mean(log_policy, log_ref, beta):
    """one mean for all prompts"""
    rewards = beta * (log_policy - log_ref)
    return rewards - rewards.mean()


def wrong_reference_mean(log_policy, log_ref, beta):
    """weighed by the reference"""
    rewards = beta * (log_policy - log_ref)
    return rewards - (log_ref.exp() * rewards).sum(-1, keepdim=True)


def wrong_policy_mean(log_policy, log_ref, beta):
    """weighed by the policy"""
    rewards = beta * (log_policy - log_ref)
    return rewards - (log_policy.exp() * rewards).sum(-1, keepdim=True)


def wrong_divided(log_policy, log_ref, beta):
    """divided by beta"""
    return right_torch(log_policy, log_ref, 1 / beta)


def wrong_no_beta(log_policy, log_ref, beta):
    """beta is missing"""
    return right_torch(log_policy, log_ref, 1.0)


def wrong_sign(log_policy, log_ref, beta):
    """the sign"""
    return right_torch(log_ref, log_policy, beta)


def wrong_no_reference(log_policy, log_ref, beta):
    """the reference is missing"""
    return right_torch(log_policy, torch.zeros_like(log_ref), beta)


def wrong_ratio(log_policy, log_ref, beta):
    """a ratio of probabilities"""
    rewards = beta * log_policy.exp() / log_ref.exp()
    return rewards - rewards.mean(-1, keepdim=True)


def wrong_first(log_policy, log_ref, beta):
    """the first response has reward 0"""
    rewards = beta * (log_policy - log_ref)
    return rewards - rewards[:, [0]]


def wrong_least(log_policy, log_ref, beta):
    rewards = beta * (log_policy - log_ref)
    return rewards - rewards.amin(-1, keepdim=True)


def wrong_normalised(log_policy, log_ref, beta):
    return (beta * (log_policy - log_ref)).log_softmax(-1)


def wrong_scaled(log_policy, log_ref, beta):
    rewards = right_torch(log_policy, log_ref, beta)
    return rewards / rewards.std(-1, keepdim=True)
