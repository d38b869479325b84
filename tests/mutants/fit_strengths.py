import math

import torch
import torch.nn.functional as F


def right_minorise(wins):
    strengths, games = torch.zeros(len(wins), dtype=torch.float64), wins + wins.T
    for _ in range(2000):
        powers = strengths.exp()
        strengths = (wins.sum(1) / (games / (powers[:, None] + powers)).sum(1)).log()
        strengths = strengths - strengths.mean()
    return strengths


def right_lbfgs(wins):
    strengths = torch.zeros(len(wins), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [strengths], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe"
    )

    def closure():
        optimiser.zero_grad()
        gaps = strengths[:, None] - strengths
        loss = -(wins * F.logsigmoid(gaps)).sum() / wins.sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return (strengths - strengths.mean()).detach()


def right_adam(wins):
    strengths = torch.zeros(len(wins), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([strengths], lr=0.05)
    for _ in range(1000):
        gaps = strengths[:, None] - strengths
        loss = -(wins * F.logsigmoid(gaps)).sum() / wins.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return strengths.detach() - strengths.detach().mean()


def right_wins_expected(wins):
    strengths, games = torch.zeros(len(wins), dtype=torch.float64), wins + wins.T
    for _ in range(5000):
        expected = (games * torch.sigmoid(strengths[:, None] - strengths)).sum(1)
        strengths = strengths + 2 * (wins.sum(1) - expected) / games.sum(1)
    return strengths - strengths.mean()


def wrong_direction(wins):
    """counts how often i was preferred"""
    return right_minorise(wins.T)


def wrong_first_zero(wins):
    """the first strength is 0"""
    strengths = right_minorise(wins)
    return strengths - strengths[0]


def wrong_constant(wins):
    """take their mean off"""
    return right_minorise(wins) + 0.3


def wrong_no_log(wins):
    """the logarithm is missing"""
    return right_minorise(wins).softmax(0)


def wrong_elo(wins):
    """Elo points"""
    return 400 / math.log(10) * right_minorise(wins)


def wrong_share(wins):
    """the share of wins"""
    return wins.sum(1) / (wins + wins.T).sum(1)


def wrong_log_odds_of_share(wins):
    """the log-odds of each one's share"""
    strengths = (wins.sum(1) / (wins + wins.T).sum(1)).logit()
    return strengths - strengths.mean()


def wrong_log_wins(wins):
    """the logarithm of each one's wins"""
    strengths = wins.sum(1).log()
    return strengths - strengths.mean()


def wrong_mean_of_log_odds(wins):
    """the mean of the log-odds"""
    odds = (wins / wins.T).log().nan_to_num(0.0)
    strengths = odds.mean(1)
    return strengths - strengths.mean()


def wrong_no_step(wins):
    """no step was taken"""
    return torch.zeros(len(wins))


def wrong_few_steps(wins):
    strengths, games = torch.zeros(len(wins), dtype=torch.float64), wins + wins.T
    for _ in range(3):
        powers = strengths.exp()
        strengths = (wins.sum(1) / (games / (powers[:, None] + powers)).sum(1)).log()
    return strengths - strengths.mean()


def wrong_all_alike(wins):
    # Every pair counts once, however often it met.
    games = wins + wins.T
    return right_minorise(torch.where(games > 0, wins / games.clamp(min=1), 0.0) + 0.05)


def wrong_smoothed(wins):
    return right_minorise(wins + 1)


def wrong_ascent(wins):
    strengths, games = torch.zeros(len(wins), dtype=torch.float64), wins + wins.T
    for _ in range(20):
        expected = (games * torch.sigmoid(strengths[:, None] - strengths)).sum(1)
        strengths = strengths - (wins.sum(1) - expected) / games.sum(1)
    return strengths - strengths.mean()


def wrong_shape(wins):
    return right_minorise(wins)[:, None]
