def right_torch(chosen_before, chosen_after, rejected_before, rejected_after):
    learned = chosen_after - rejected_after > chosen_before - rejected_before
    fell = chosen_after < chosen_before
    return learned.double().mean(), (learned & fell).sum() / learned.sum().clamp(min=1)


def right_loop(chosen_before, chosen_after, rejected_before, rejected_after):
    learned, fell = 0, 0
    for c0, c1, r0, r1 in zip(chosen_before, chosen_after, rejected_before, rejected_after):
        if (c1 - c0) - (r1 - r0) > 0:
            learned += 1
            fell += int(c1 < c0)
    return learned / len(chosen_before), fell / learned if learned else 0.0


def right_numpy(chosen_before, chosen_after, rejected_before, rejected_after):
    gain = (chosen_after - chosen_before).numpy()
    learned = gain > (rejected_after - rejected_before).numpy()
    return learned.mean(), (gain[learned] < 0).mean() if learned.any() else 0.0


def wrong_all_pairs(chosen_before, chosen_after, rejected_before, rejected_after):
    """as a share of all pairs"""
    learned = chosen_after - rejected_after > chosen_before - rejected_before
    both = learned & (chosen_after < chosen_before)
    return learned.double().mean(), both.double().mean()


def wrong_nothing_learned(chosen_before, chosen_after, rejected_before, rejected_after):
    """0 divided by 0"""
    learned = chosen_after - rejected_after > chosen_before - rejected_before
    fell = chosen_after < chosen_before
    return learned.double().mean(), fell[learned].double().mean()


def wrong_positive_margin(chosen_before, chosen_after, rejected_before, rejected_after):
    """not that it is above 0"""
    learned = chosen_after > rejected_after
    fell = chosen_after < chosen_before
    return learned.double().mean(), (learned & fell).sum() / learned.sum().clamp(min=1)


def wrong_chosen_rose(chosen_before, chosen_after, rejected_before, rejected_after):
    """the chosen response need not"""
    return (chosen_after > chosen_before).double().mean(), 0.0


def wrong_rejected_fell(chosen_before, chosen_after, rejected_before, rejected_after):
    """not that the rejected response fell"""
    learned = rejected_after < rejected_before
    fell = chosen_after < chosen_before
    return learned.double().mean(), (learned & fell).sum() / learned.sum().clamp(min=1)


def wrong_exchanged(chosen_before, chosen_after, rejected_before, rejected_after):
    """chosen and rejected are exchanged"""
    return right_torch(rejected_before, rejected_after, chosen_before, chosen_after)


def wrong_time(chosen_before, chosen_after, rejected_before, rejected_after):
    """before and after are exchanged"""
    return right_torch(chosen_after, chosen_before, rejected_after, rejected_before)


def wrong_rejected(chosen_before, chosen_after, rejected_before, rejected_after):
    """not the rejected one"""
    learned = chosen_after - rejected_after > chosen_before - rejected_before
    fell = rejected_after < rejected_before
    return learned.double().mean(), (learned & fell).sum() / learned.sum().clamp(min=1)


def wrong_same_margin(chosen_before, chosen_after, rejected_before, rejected_after):
    """a margin that stayed the same"""
    learned = chosen_after - rejected_after >= chosen_before - rejected_before
    fell = chosen_after < chosen_before
    return learned.double().mean(), (learned & fell).sum() / learned.sum().clamp(min=1)


def wrong_mean_loss(chosen_before, chosen_after, rejected_before, rejected_after):
    """not the mean of what was lost"""
    learned = chosen_after - rejected_after > chosen_before - rejected_before
    lost = (chosen_before - chosen_after)[learned]
    return learned.double().mean(), lost.sum() / learned.sum().clamp(min=1)


def wrong_counts(chosen_before, chosen_after, rejected_before, rejected_after):
    learned = chosen_after - rejected_after > chosen_before - rejected_before
    fell = chosen_after < chosen_before
    return learned.double().sum(), (learned & fell).double().sum()


def wrong_not_risen(chosen_before, chosen_after, rejected_before, rejected_after):
    learned = chosen_after - rejected_after > chosen_before - rejected_before
    fell = chosen_after <= chosen_before
    return learned.double().mean(), (learned & fell).sum() / learned.sum().clamp(min=1)


def wrong_mean_of_shares(chosen_before, chosen_after, rejected_before, rejected_after):
    learned = (chosen_after - rejected_after).mean() > (chosen_before - rejected_before).mean()
    return float(learned), float(learned and chosen_after.mean() < chosen_before.mean())
