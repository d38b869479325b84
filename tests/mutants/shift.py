import torch


def right_slices(logits, labels):
    return logits[:, :-1], labels[:, 1:]


def right_narrow(logits, labels):
    count = labels.shape[1] - 1
    return [logits.narrow(1, 0, count).clone(), labels.narrow(1, 1, count)]


def right_roll_and_drop(logits, labels):
    return logits[:, :-1, :], torch.roll(labels, -1, dims=1)[:, :-1]


def wrong_unshifted(logits, labels):
    """nothing is shifted: position t is compared with the token that it has just read"""
    return logits, labels


def wrong_both_lose_the_last(logits, labels):
    """nothing is shifted: both lose their last position"""
    return logits[:, :-1], labels[:, :-1]


def wrong_both_lose_the_first(logits, labels):
    """nothing is shifted: both lose their first position"""
    return logits[:, 1:], labels[:, 1:]


def wrong_way(logits, labels):
    """shifted the wrong way"""
    return logits[:, 1:], labels[:, :-1]


def wrong_roll(logits, labels):
    """roll brings the first label round to the end"""
    return logits, labels.roll(-1, 1)


def wrong_axis(logits, labels):
    """shifted in the batch, not in time"""
    return logits[:-1], labels[1:]


def wrong_by_two(logits, labels):
    return logits[:, :-2], labels[:, 2:]


def wrong_order_of_results(logits, labels):
    return labels[:, 1:], logits[:, :-1]


def wrong_detached(logits, labels):
    """the graph is cut"""
    return logits[:, :-1].detach(), labels[:, 1:]


def wrong_predictions_only(logits, labels):
    return logits[:, :-1]
