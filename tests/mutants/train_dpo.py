import torch
import torch.nn.functional as F


def _h(log_policy, log_ref):
    gain = log_policy - log_ref
    return gain[:, :, None] - gain[:, None, :]


def _train(loss_of, start, steps=800, optimiser=torch.optim.Adam, rate=0.05):
    logits = start.clone().requires_grad_()
    optimiser = optimiser([logits], lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        loss_of(logits.log_softmax(-1)).backward()
        optimiser.step()
    return logits.detach().log_softmax(-1)


def right_adam(log_ref, wins, beta):
    return _train(
        lambda p: -(wins * F.logsigmoid(beta * _h(p, log_ref))).sum() / wins.sum(), log_ref
    )


def right_from_zero(log_ref, wins, beta):
    def loss(log_policy):
        return (wins / wins.sum() * F.softplus(-beta * _h(log_policy, log_ref))).sum()

    return _train(loss, torch.zeros_like(log_ref), steps=1500)


def right_newton(log_ref, wins, beta):
    logits = log_ref.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([logits], max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        h = _h(logits.log_softmax(-1), log_ref)
        loss = -(wins * F.logsigmoid(beta * h)).sum() / wins.sum()
        loss.backward()
        return loss

    for _ in range(5):
        optimiser.step(closure)
    return logits.detach().log_softmax(-1)


def wrong_no_step(log_ref, wins, beta):
    """no step was taken"""
    return log_ref


def wrong_no_reference(log_ref, wins, beta):
    """the reference is missing"""
    free = torch.zeros_like(log_ref)
    return _train(lambda p: -(wins * F.logsigmoid(beta * _h(p, free))).sum() / wins.sum(), free)


def wrong_direction(log_ref, wins, beta):
    """how often i was preferred"""
    return right_adam(log_ref, wins.transpose(1, 2), beta)


def wrong_no_beta(log_ref, wins, beta):
    """beta is missing"""
    return right_adam(log_ref, wins, 1.0)


def wrong_divided(log_ref, wins, beta):
    """divided by beta"""
    return right_adam(log_ref, wins, 1 / beta)


def wrong_few_steps(log_ref, wins, beta):
    return _train(
        lambda p: -(wins * F.logsigmoid(beta * _h(p, log_ref))).sum() / wins.sum(), log_ref, steps=2
    )


def wrong_gradient(log_ref, wins, beta):
    return _train(
        lambda p: (wins * F.logsigmoid(beta * _h(p, log_ref))).sum() / wins.sum(), log_ref, steps=50
    )


def wrong_logits(log_ref, wins, beta):
    return right_adam(log_ref, wins, beta) + 1.0


def wrong_probabilities(log_ref, wins, beta):
    return right_adam(log_ref, wins, beta).exp()


def wrong_winners_only(log_ref, wins, beta):
    return _train(lambda p: -(wins.sum(-1) * p).sum() / wins.sum(), log_ref)


def wrong_rewards(log_ref, wins, beta):
    return (wins.sum(-1) / wins.sum((-1, -2))[:, None]).log()


def wrong_shape(log_ref, wins, beta):
    return right_adam(log_ref, wins, beta)[0, 0]
