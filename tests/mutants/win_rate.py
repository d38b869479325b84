import torch


def right_masks(first, swapped):
    won = (first == 1) & (swapped == -1)
    lost = (first == -1) & (swapped == 1)
    rate = won.double() + 0.5 * (~won & ~lost)
    first_place = (first == 1) & (swapped == 1)
    second_place = (first == -1) & (swapped == -1)
    return rate.mean(), first_place.double().mean(), second_place.double().mean()


def right_loop(first, swapped):
    rate, places = 0.0, [0, 0]
    for a, b in zip(first.tolist(), swapped.tolist()):
        b = -b
        rate += (a + 1) / 2 if a == b else 0.5
        if a != 0 and a == -b:
            places[a < 0] += 1
    return rate / len(first), places[0] / len(first), places[1] / len(first)


def right_sums(first, swapped):
    gap, total = first - swapped, first + swapped
    rate = 0.5 + (gap / 2).trunc().mean() / 2
    return rate, (total == 2).double().mean(), (total == -2).double().mean()


def right_table(first, swapped):
    counts = torch.bincount(3 * (first + 1) + swapped + 1, minlength=9).reshape(3, 3)
    shares = counts / counts.sum()
    return (1 + shares[2, 0] - shares[0, 2]) / 2, shares[2, 2], shares[0, 0]


def _counts(first, swapped):
    won, lost = (((first == a) & (swapped == -a)).sum() for a in (1, -1))
    return won, lost, len(first)


def _places(first, swapped):
    return right_masks(first, swapped)[1:]


def wrong_not_turned(first, swapped):
    """have to be turned round"""
    return right_masks(first, -swapped)


def wrong_first_only(first, swapped):
    """the first verdicts alone"""
    return ((first + 1) / 2).mean(), *_places(first, swapped)


def wrong_averaged(first, swapped):
    """the mean of both verdicts"""
    scores = (first.double() + 1) / 2, (1 - swapped.double()) / 2
    return sum(scores).mean() / 2, *_places(first, swapped)


def wrong_without_ties(first, swapped):
    """they are not left out"""
    won, lost, _ = _counts(first, swapped)
    return won / (won + lost), *_places(first, swapped)


def wrong_ties_lost(first, swapped):
    """one half, not 0"""
    won, _, n = _counts(first, swapped)
    return won / n, *_places(first, swapped)


def wrong_ties_won(first, swapped):
    """one half, not 1"""
    _, lost, n = _counts(first, swapped)
    return 1 - lost / n, *_places(first, swapped)


def wrong_contradictory_dropped(first, swapped):
    """pairs whose verdicts contradict each other are ties"""
    kept = (first != swapped) | (first == 0)
    return right_masks(first[kept], swapped[kept])[0], *_places(first, swapped)


def wrong_net(first, swapped):
    """wins less losses"""
    won, lost, n = _counts(first, swapped)
    return (won - lost) / n, *_places(first, swapped)


def wrong_other_model(first, swapped):
    """the other model"""
    return right_masks(swapped, first)


def wrong_places(first, swapped):
    """the two places are exchanged"""
    rate, first_place, second_place = right_masks(first, swapped)
    return rate, second_place, first_place


def wrong_one_round(first, swapped):
    """a place has to win in both rounds"""
    rate = right_masks(first, swapped)[0]
    return rate, (first == 1).double().mean(), (first == -1).double().mean()


def wrong_of_contradictory(first, swapped):
    """shares of all are wanted"""
    rate, *places = right_masks(first, swapped)
    return rate, places[0] / sum(places), places[1] / sum(places)


def wrong_both_rounds(first, swapped):
    verdicts = torch.cat([first, swapped])
    share = [(verdicts == place).double().mean() for place in (1, -1)]
    return right_masks(first, swapped)[0], *share


def wrong_two_numbers(first, swapped):
    rate, *places = right_masks(first, swapped)
    return rate, sum(places)


def wrong_disagreement(first, swapped):
    rate = right_masks(first, swapped)[0]
    return rate, (first > -swapped).double().mean(), (first < -swapped).double().mean()
