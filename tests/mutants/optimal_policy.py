import torch


def right_logsumexp(log_ref, rewards, beta):
    scores = log_ref + rewards / beta
    log_z = scores.logsumexp(-1)
    return scores - log_z[:, None], log_z


def right_softmax(log_ref, rewards, beta):
    scores = rewards / beta
    top = scores.amax(-1, keepdim=True)
    log_z = top[:, 0] + (log_ref.exp() * (scores - top).exp()).sum(-1).log()
    return (log_ref + scores).log_softmax(-1), log_z


def right_loop(log_ref, rewards, beta):
    rows, sums = [], []
    for reference, row in zip(log_ref, rewards):
        scores = reference + row / beta
        sums.append(torch.logsumexp(scores, 0))
        rows.append(scores - sums[-1])
    return torch.stack(rows), torch.stack(sums)


def wrong_times_beta(log_ref, rewards, beta):
    """the reward is multiplied by beta"""
    return right_logsumexp(log_ref, rewards, 1 / beta)


def wrong_no_beta(log_ref, rewards, beta):
    """beta is missing"""
    return right_logsumexp(log_ref, rewards, 1.0)


def wrong_sign(log_ref, rewards, beta):
    """the sign"""
    return right_logsumexp(log_ref, -rewards, beta)


def wrong_no_reference(log_ref, rewards, beta):
    """the reference is missing"""
    return right_logsumexp(torch.zeros_like(log_ref), rewards, beta)


def wrong_unnormalised(log_ref, rewards, beta):
    """the policy is not divided by Z"""
    scores = log_ref + rewards / beta
    return scores, scores.logsumexp(-1)


def wrong_z(log_ref, rewards, beta):
    """Z leaves out the reference"""
    log_z = (rewards / beta).logsumexp(-1)
    return log_ref + rewards / beta - log_z[:, None], log_z


def wrong_one_z(log_ref, rewards, beta):
    """one Z for all prompts"""
    scores = log_ref + rewards / beta
    log_z = scores.flatten().logsumexp(0)
    return scores - log_z, log_z.expand(len(scores))


def wrong_no_logarithm(log_ref, rewards, beta):
    """Z, not its logarithm"""
    log_policy, log_z = right_logsumexp(log_ref, rewards, beta)
    return log_policy, log_z.exp()


def wrong_probabilities(log_ref, rewards, beta):
    """probabilities"""
    log_policy, log_z = right_logsumexp(log_ref, rewards, beta)
    return log_policy.exp(), log_z


def wrong_overflow(log_ref, rewards, beta):
    """overflows"""
    weights = log_ref.exp() * (rewards / beta).exp()
    z = weights.sum(-1)
    return (weights / z[:, None]).log(), z.log()


def wrong_axis(log_ref, rewards, beta):
    scores = log_ref + rewards / beta
    return scores.log_softmax(0), scores.logsumexp(-1)


def wrong_uniform_z(log_ref, rewards, beta):
    log_policy, log_z = right_logsumexp(log_ref, rewards, beta)
    return log_policy, log_z - torch.log(torch.tensor(log_ref.shape[1]))
