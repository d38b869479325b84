import torch
import torch.nn.functional as F


def right_torch(log_ref, rewards, betas):
    log_policy = (log_ref + rewards / betas[:, None]).log_softmax(-1)
    policy = log_policy.exp()
    kl = torch.where(policy > 0, policy * (log_policy - log_ref), 0.0).sum(-1)
    return policy @ rewards, kl


def right_loop(log_ref, rewards, betas):
    values = []
    possible = log_ref > -torch.inf
    for beta in betas:
        scores = log_ref[possible] + rewards[possible] / beta
        log_policy = scores - scores.logsumexp(0)
        policy = log_policy.exp()
        kl = (policy * (log_policy - log_ref[possible])).sum()
        values.append(((policy * rewards[possible]).sum(), kl))
    return tuple(torch.stack(column) for column in zip(*values))


def right_by_z(log_ref, rewards, betas):
    # log π/π_ref = r/β - log Z, so the KL is the expected reward over β, less log Z.
    scores = log_ref + rewards / betas[:, None]
    reward = (scores.softmax(-1) * rewards).sum(-1)
    return reward, reward / betas - scores.logsumexp(-1)


def _policy(log_ref, rewards, betas):
    log_ref = log_ref.clamp(min=-1e6)
    log_policy = (log_ref + rewards / betas[:, None]).log_softmax(-1)
    return log_ref, log_policy, log_policy.exp()


def wrong_times_beta(log_ref, rewards, betas):
    """the reward is multiplied by beta"""
    return right_torch(log_ref, rewards, 1 / betas)


def wrong_no_reference(log_ref, rewards, betas):
    """the reference is missing"""
    return right_torch(torch.zeros_like(log_ref).log_softmax(0), rewards, betas)


def wrong_reverse_kl(log_ref, rewards, betas):
    """the wrong way round"""
    log_ref, log_policy, _ = _policy(log_ref, rewards, betas)
    log_policy = log_policy.exp().clamp(min=1e-300).log()
    kl = torch.where(log_ref > -1e5, log_ref.exp() * (log_ref - log_policy), 0.0).sum(-1)
    return right_torch(log_ref, rewards, betas)[0], kl


def wrong_objective(log_ref, rewards, betas):
    """the objective"""
    reward, kl = right_torch(log_ref, rewards, betas)
    return reward - betas * kl, kl


def wrong_penalty(log_ref, rewards, betas):
    """beta times the KL divergence"""
    reward, kl = right_torch(log_ref, rewards, betas)
    return reward, betas * kl


def wrong_reference_reward(log_ref, rewards, betas):
    """the reference's expected reward"""
    reward, kl = right_torch(log_ref, rewards, betas)
    return torch.full_like(reward, (log_ref.exp() * rewards).sum()), kl


def wrong_most_probable(log_ref, rewards, betas):
    """the most probable response"""
    _, log_policy, _ = _policy(log_ref, rewards, betas)
    return rewards[log_policy.argmax(-1)], right_torch(log_ref, rewards, betas)[1]


def wrong_plain_mean(log_ref, rewards, betas):
    """without their probabilities"""
    kl = right_torch(log_ref, rewards, betas)[1]
    return rewards.mean().expand(len(betas)), kl


def wrong_entropy(log_ref, rewards, betas):
    """the policy's entropy"""
    policy = _policy(log_ref, rewards, betas)[2]
    return policy @ rewards, -torch.special.entr(policy).sum(-1)


def wrong_impossible(log_ref, rewards, betas):
    log_policy = (log_ref + rewards / betas[:, None]).log_softmax(-1)
    return log_policy.exp() @ rewards, (log_policy.exp() * (log_policy - log_ref)).sum(-1)


def wrong_first_beta(log_ref, rewards, betas):
    return right_torch(log_ref, rewards, betas[:1].expand(len(betas)))


def wrong_torch_kl(log_ref, rewards, betas):
    log_ref, log_policy, policy = _policy(log_ref, rewards, betas)
    kl = F.kl_div(log_ref.expand_as(log_policy), policy, reduction="batchmean")
    return policy @ rewards, kl.expand(len(betas))
