import math

import torch


def _shares(votes):
    return (votes == 1).sum(0).double() / (votes >= 0).sum(0)


def _agreement(votes, answers):
    agreed = torch.where(votes == 1, answers, 1 - answers) * (votes >= 0)
    return agreed.sum(1) / (votes >= 0).sum(1)


def _signs(votes):
    return (2 * votes - 1) * (votes >= 0)


def _em(votes, rounds=20, weight=torch.logit, low=0.01, high=0.99, signs=_signs, after=None):
    answers = _shares(votes)
    for _ in range(rounds):
        accuracies = _agreement(votes, answers).clamp(low, high)
        odds = (weight(accuracies)[:, None] * signs(votes)).sum(0)
        answers = after(odds, answers) if after else torch.sigmoid(odds)
    return accuracies, answers


def right_torch(votes):
    return _em(votes)


def right_single_precision(votes):
    given = votes >= 0
    answers = (votes == 1).sum(0) / given.sum(0)
    for _ in range(20):
        agreed = torch.where(votes == 1, answers, 1 - answers).masked_fill(~given, 0)
        accuracies = (agreed.sum(1) / given.sum(1)).clamp(0.01, 0.99)
        weights = torch.log(accuracies / (1 - accuracies))[:, None]
        odds = torch.where(votes == 1, weights, -weights).masked_fill(~given, 0).sum(0)
        answers = torch.sigmoid(odds)
    return accuracies, answers


def right_loops(votes):
    people, pairs = votes.shape
    table = [[(i, j, int(votes[i, j])) for j in range(pairs)] for i in range(people)]
    cells = [cell for row in table for cell in row if cell[2] >= 0]
    counts = [int((row >= 0).sum()) for row in votes]
    answers = _shares(votes).tolist()
    for _ in range(20):
        agreed = [0.0] * people
        for i, j, vote in cells:
            agreed[i] += answers[j] if vote else 1 - answers[j]
        accuracies = [min(max(a / n, 0.01), 0.99) for a, n in zip(agreed, counts)]
        logs = [[0.0] * pairs, [0.0] * pairs]
        for i, j, vote in cells:
            logs[1][j] += math.log(accuracies[i] if vote else 1 - accuracies[i])
            logs[0][j] += math.log(1 - accuracies[i] if vote else accuracies[i])
        answers = torch.tensor(logs).double().softmax(0)[1].tolist()
    return accuracies, answers


def right_matrices(votes):
    ones, zeros = (votes == 1).double(), (votes == 0).double()
    answers = ones.sum(0) / (ones + zeros).sum(0)
    for _ in range(20):
        accuracies = (ones @ answers + zeros @ (1 - answers)) / (ones + zeros).sum(1)
        accuracies = accuracies.clamp(0.01, 0.99)
        answers = torch.sigmoid(torch.logit(accuracies) @ (ones - zeros))
    return accuracies, answers


def wrong_no_round(votes):
    """no round was made"""
    return _agreement(votes, _shares(votes)), _shares(votes)


def wrong_one_round(votes):
    """one round alone"""
    return _em(votes, rounds=1)


def wrong_missing(votes):
    """a missing vote is not a vote for 0"""
    return _em(votes.clamp(min=0))


def wrong_accuracy_weights(votes):
    """not as the accuracy"""
    answers = _shares(votes)
    for _ in range(20):
        accuracies = _agreement(votes, answers).clamp(0.01, 0.99)
        weights = accuracies[:, None] * (votes >= 0)
        answers = (weights * votes).sum(0) / weights.sum(0)
    return accuracies, answers


def wrong_decided(votes):
    """keep their probabilities"""
    return _em(votes, after=lambda odds, answers: (odds > 0).double())


def wrong_prior(votes):
    """their share is not in the model"""
    return _em(votes, after=lambda odds, answers: torch.sigmoid(odds + answers.mean().logit()))


def wrong_only_ones(votes):
    """a vote for 0 counts against 1"""
    return _em(votes, signs=lambda votes: (votes == 1).double())


def wrong_all_pairs(votes):
    """divided by all pairs"""
    answers = _shares(votes)
    for _ in range(20):
        agreed = torch.where(votes == 1, answers, 1 - answers) * (votes >= 0)
        accuracies = agreed.mean(1).clamp(0.01, 0.99)
        answers = torch.sigmoid((accuracies.logit()[:, None] * _signs(votes)).sum(0))
    return accuracies, answers


def wrong_ignored(votes):
    """who is mostly wrong tells something too"""
    return _em(votes, weight=lambda accuracies: accuracies.clamp(min=0.5).logit())


def wrong_free(votes):
    """are kept between 0.01 and 0.99"""
    return _em(votes, low=0.0, high=1.0)


def wrong_zero(votes):
    """the answer is 1, not 0"""
    accuracies, answers = _em(votes)
    return accuracies, 1 - answers


def wrong_product(votes):
    """a product of many probabilities"""
    answers = _shares(votes)
    for _ in range(20):
        accuracies = _agreement(votes, answers).clamp(0.01, 0.99)
        column = accuracies[:, None]
        one = torch.where(votes == 1, column, 1 - column).where(votes >= 0, 1.0).prod(0)
        zero = torch.where(votes == 0, column, 1 - column).where(votes >= 0, 1.0).prod(0)
        answers = one / (one + zero)
    return accuracies, answers


def wrong_majority(votes):
    answers = (_shares(votes) > 0.5).double()
    return _agreement(votes, answers), answers


def wrong_order(votes):
    return _em(votes)[::-1]


def wrong_start(votes):
    answers = torch.full_like(_shares(votes), 0.5)
    for _ in range(20):
        accuracies = _agreement(votes, answers).clamp(0.01, 0.99)
        answers = torch.sigmoid((accuracies.logit()[:, None] * _signs(votes)).sum(0))
    return accuracies, answers
