import torch


def right_torch(rewards):
    others = rewards.sum(-1, keepdim=True) - rewards
    return rewards - others / (rewards.shape[-1] - 1)


def right_scaled(rewards):
    count = rewards.shape[1]
    return count / (count - 1) * (rewards - rewards.mean(1, keepdim=True))


def right_loop(rewards):
    found = torch.empty_like(rewards)
    for n, row in enumerate(rewards):
        for k in range(len(row)):
            found[n, k] = row[k] - torch.cat([row[:k], row[k + 1 :]]).mean()
    return found


def right_matrix(rewards):
    count = rewards.shape[1]
    eye = torch.eye(count, dtype=rewards.dtype)
    return rewards @ (eye - (1 - eye) / (count - 1))


def wrong_own_included(rewards):
    """a response's own reward is left out"""
    return rewards - rewards.mean(-1, keepdim=True)


def wrong_spread(rewards):
    """another method (GRPO)"""
    return (rewards - rewards.mean(-1, True)) / rewards.std(-1, keepdim=True)


def wrong_sum(rewards):
    """the sum of the others"""
    return rewards - (rewards.sum(-1, keepdim=True) - rewards)


def wrong_count(rewards):
    """K - 1 others"""
    others = rewards.sum(-1, keepdim=True) - rewards
    return rewards - others / rewards.shape[-1]


def wrong_own_in_sum(rewards):
    """still in the sum"""
    return rewards - rewards.sum(-1, keepdim=True) / (rewards.shape[-1] - 1)


def wrong_one_baseline(rewards):
    """one baseline for all prompts"""
    return rewards - (rewards.sum() - rewards) / (rewards.numel() - 1)


def wrong_axis(rewards):
    """the mean over other prompts"""
    return rewards - (rewards.sum(0) - rewards) / (rewards.shape[0] - 1)


def wrong_sign(rewards):
    """the sign"""
    return (rewards.sum(-1, keepdim=True) - rewards) / (rewards.shape[-1] - 1) - rewards


def wrong_baseline(rewards):
    """the baseline alone"""
    return (rewards.sum(-1, keepdim=True) - rewards) / (rewards.shape[-1] - 1)


def wrong_best_other(rewards):
    """the best of the others"""
    found = torch.empty_like(rewards)
    for n, row in enumerate(rewards):
        for k in range(len(row)):
            found[n, k] = row[k] - torch.cat([row[:k], row[k + 1 :]]).max()
    return found


def wrong_median(rewards):
    return rewards - rewards.median(-1, keepdim=True).values


def wrong_flat(rewards):
    others = rewards.sum(-1, keepdim=True) - rewards
    return (rewards - others / (rewards.shape[-1] - 1)).flatten()


def wrong_in_place(rewards):
    rewards -= (rewards.sum(-1, keepdim=True) - rewards) / (rewards.shape[-1] - 1)
    return rewards


def wrong_earlier(rewards):
    before = (rewards.cumsum(-1) - rewards) / torch.arange(rewards.shape[1]).clamp(min=1)
    return rewards - before
