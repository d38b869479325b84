from collections import Counter

import torch


def right_torch(stated, truth):
    said = stated >= 0
    form = said.double().mean()
    if not said.any():
        return form, 0.0, 0.0
    stated, truth = stated[said], truth[said]
    fact = (stated == truth).double().mean()
    return form, fact, (stated[:, None] == truth).double().mean()


def right_counters(stated, truth):
    pairs = [(s, t) for s, t in zip(stated.tolist(), truth.tolist()) if s != -1]
    if not pairs:
        return 0.0, 0.0, 0.0
    said, facts = (Counter(column) for column in zip(*pairs))
    n = len(pairs)
    chance = sum(said[value] / n * facts[value] / n for value in said)
    return n / len(stated), sum(s == t for s, t in pairs) / n, chance


def right_shares(stated, truth):
    said = stated >= 0
    n = max(int(said.sum()), 1)
    kinds = truth.unique()
    ones = ((stated[said][:, None] == kinds).sum(0)) / n
    facts = ((truth[said][:, None] == kinds).sum(0)) / n
    right = (said & (stated == truth)).sum() / n
    return torch.stack([said.double().mean(), right.double(), (ones.double() * facts).sum()])


def wrong_of_all(stated, truth):
    """the share of all responses that is right"""
    form, _, chance = right_torch(stated, truth)
    return form, (stated == truth).double().mean(), chance


def wrong_silent_are_right(stated, truth):
    """responses without a value count as right"""
    form, _, chance = right_torch(stated, truth)
    return form, ((stated == truth) | (stated == -1)).double().mean(), chance


def wrong_uniform(stated, truth):
    """chance is not 1/K"""
    form, fact, _ = right_torch(stated, truth)
    said = stated >= 0
    kinds = torch.cat([stated[said], truth[said]]).unique()
    return form, fact, 1 / max(len(kinds), 1)


def wrong_favourite(stated, truth):
    """always states the most frequent value"""
    form, fact, _ = right_torch(stated, truth)
    said = truth[stated >= 0]
    return form, fact, torch.bincount(said).max() / len(said) if len(said) else 0.0


def wrong_all_truths(stated, truth):
    """over the truths of all questions"""
    form, fact, _ = right_torch(stated, truth)
    said = stated[stated >= 0]
    return form, fact, (said[:, None] == truth).double().mean() if len(said) else 0.0


def wrong_each_once(stated, truth):
    """each value that was stated counts once"""
    form, fact, _ = right_torch(stated, truth)
    said = stated >= 0
    if not said.any():
        return form, 0.0, 0.0
    return form, fact, (stated[said].unique()[:, None] == truth[said]).double().mean()


def wrong_silence(stated, truth):
    """the share that states no value"""
    form, fact, chance = right_torch(stated, truth)
    return 1 - form, fact, chance


def wrong_number(stated, truth):
    """form is a share"""
    _, fact, chance = right_torch(stated, truth)
    return (stated >= 0).sum(), fact, chance


def wrong_nothing_said(stated, truth):
    """0 divided by 0"""
    said = stated >= 0
    fact = (stated[said] == truth[said]).double().mean()
    return said.double().mean(), fact, (stated[said][:, None] == truth[said]).double().mean()


def wrong_zero_is_no_value(stated, truth):
    said = stated > 0
    if not said.any():
        return said.double().mean(), 0.0, 0.0
    stated, truth = stated[said], truth[said]
    chance = (stated[:, None] == truth).double().mean()
    return said.double().mean(), (stated == truth).double().mean(), chance


def wrong_two_values(stated, truth):
    return right_torch(stated, truth)[:2]
