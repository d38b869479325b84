import numpy as np
import torch
import torch.nn.functional as F


def _newton(gaps, chosen, rounds=50, penalty=0.0):
    weights = torch.zeros(gaps.shape[1], dtype=torch.float64)
    for _ in range(rounds):
        chance = torch.sigmoid(gaps @ weights)
        curvature = gaps.T @ (gaps * (chance * (1 - chance))[:, None])
        curvature = curvature + penalty * torch.eye(len(curvature), dtype=torch.float64)
        slope = gaps.T @ (chosen - chance) - penalty * weights
        weights = weights + torch.linalg.solve(curvature, slope)
    return weights


def _information(gaps, weights):
    chance = torch.sigmoid(gaps @ weights)
    return gaps.T @ (gaps * (chance * (1 - chance))[:, None])


def _report(gaps, weights):
    error = _information(gaps, weights).inverse()[1, 1].sqrt()
    return weights[0], weights[1], error, weights[1] / weights[0]


def _gaps(reward_gap, length_gap):
    return torch.stack([reward_gap, length_gap], 1)


def right_newton(reward_gap, length_gap, chosen_first):
    gaps = _gaps(reward_gap, length_gap)
    return _report(gaps, _newton(gaps, chosen_first))


def right_lbfgs(reward_gap, length_gap, chosen_first):
    gaps, weights = _gaps(reward_gap, length_gap), torch.zeros(2, dtype=torch.float64)
    weights.requires_grad_()
    optimiser = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = F.binary_cross_entropy_with_logits(gaps @ weights, chosen_first.double())
        value.backward()
        return value

    for _ in range(5):
        optimiser.step(loss)
    found = weights.detach()
    hessian = torch.autograd.functional.hessian(
        lambda w: F.softplus(gaps @ w).sum() - chosen_first.double() @ gaps @ w, found
    )
    error = torch.linalg.inv(hessian)[1, 1] ** 0.5
    return found[0].item(), found[1].item(), error.item(), (found[1] / found[0]).item()


def right_won_minus_lost(reward_gap, length_gap, chosen_first):
    """Turn every pair so that the chosen response is the first; then climb by the gradient."""
    turned = (2 * chosen_first.numpy() - 1)[:, None] * np.stack([reward_gap, length_gap], 1)
    weights, rate = np.zeros(2), 4 / np.linalg.eigvalsh(turned.T @ turned)[-1]
    for _ in range(30_000):
        weights += rate * (turned / (1 + np.exp(turned @ weights))[:, None]).sum(0)
    counts = 1 / (2 + np.exp(turned @ weights) + np.exp(-turned @ weights))
    error = np.sqrt(np.linalg.inv(turned.T @ (counts[:, None] * turned))[1, 1])
    return weights[0], weights[1], error, weights[1] / weights[0]


def wrong_sign(reward_gap, length_gap, chosen_first):
    """the sign"""
    return right_newton(reward_gap, length_gap, 1 - chosen_first)


def wrong_no_step(reward_gap, length_gap, chosen_first):
    """no step was taken"""
    gaps, weights = _gaps(reward_gap, length_gap), torch.zeros(2, dtype=torch.float64)
    return *_report(gaps, weights)[:3], 0.0


def wrong_straight(reward_gap, length_gap, chosen_first):
    """a least-squares fit"""
    gaps = _gaps(reward_gap, length_gap)
    weights = torch.linalg.lstsq(gaps, chosen_first.double() - 0.5).solution
    return _report(gaps, weights)


def wrong_one_step(reward_gap, length_gap, chosen_first):
    """go on until nothing changes"""
    gaps = _gaps(reward_gap, length_gap)
    return _report(gaps, _newton(gaps, chosen_first, rounds=1))


def wrong_alone(reward_gap, length_gap, chosen_first):
    """each gap on its own"""
    weights = torch.cat([_newton(gap[:, None], chosen_first) for gap in (reward_gap, length_gap)])
    return _report(_gaps(reward_gap, length_gap), weights)


def wrong_penalty(reward_gap, length_gap, chosen_first):
    """has no penalty"""
    gaps = _gaps(reward_gap, length_gap)
    return _report(gaps, _newton(gaps, chosen_first, penalty=1.0))


def wrong_intercept(reward_gap, length_gap, chosen_first):
    """a liking for the first place"""
    gaps = torch.stack([reward_gap, length_gap, torch.ones_like(reward_gap)], 1)
    return _report(gaps, _newton(gaps, chosen_first))


def wrong_exchanged(reward_gap, length_gap, chosen_first):
    """first reward, then length"""
    return right_newton(length_gap, reward_gap, chosen_first)


def wrong_worth(reward_gap, length_gap, chosen_first):
    """not the reverse"""
    reward, length, error, _ = right_newton(reward_gap, length_gap, chosen_first)
    return reward, length, error, reward / length


def wrong_variance(reward_gap, length_gap, chosen_first):
    """this is the variance"""
    reward, length, error, worth = right_newton(reward_gap, length_gap, chosen_first)
    return reward, length, error**2, worth


def wrong_straight_error(reward_gap, length_gap, chosen_first):
    """every pair counts p(1 - p)"""
    gaps = _gaps(reward_gap, length_gap)
    reward, length, _, worth = right_newton(reward_gap, length_gap, chosen_first)
    return reward, length, (gaps.T @ gaps).inverse()[1, 1].sqrt(), worth


def wrong_known_reward(reward_gap, length_gap, chosen_first):
    """as if the weight of reward were known"""
    gaps = _gaps(reward_gap, length_gap)
    weights = _newton(gaps, chosen_first)
    error = _information(gaps, weights)[1, 1] ** -0.5
    return weights[0], weights[1], error, weights[1] / weights[0]


def wrong_mean_information(reward_gap, length_gap, chosen_first):
    """the information is a sum"""
    gaps = _gaps(reward_gap, length_gap)
    weights = _newton(gaps, chosen_first)
    error = (_information(gaps, weights) / len(gaps)).inverse()[1, 1].sqrt()
    return weights[0], weights[1], error, weights[1] / weights[0]


def wrong_other_error(reward_gap, length_gap, chosen_first):
    """the error of the weight of reward"""
    gaps = _gaps(reward_gap, length_gap)
    weights = _newton(gaps, chosen_first)
    error = _information(gaps, weights).inverse()[0, 0].sqrt()
    return weights[0], weights[1], error, weights[1] / weights[0]


def wrong_few_steps(reward_gap, length_gap, chosen_first):
    gaps, weights = _gaps(reward_gap, length_gap), torch.zeros(2, dtype=torch.float64)
    for _ in range(20):
        weights = weights + 0.1 * gaps.T @ (chosen_first - torch.sigmoid(gaps @ weights)) / len(
            gaps
        )
    return _report(gaps, weights)


def wrong_counts(reward_gap, length_gap, chosen_first):
    longer = (chosen_first == (length_gap > 0)).double().mean()
    better = (chosen_first == (reward_gap > 0)).double().mean()
    return better, longer, 0.1, longer / better


def wrong_shape(reward_gap, length_gap, chosen_first):
    gaps = _gaps(reward_gap, length_gap)
    return (_newton(gaps, chosen_first),) * 4
