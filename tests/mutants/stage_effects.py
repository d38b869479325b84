import math
import statistics

import numpy as np
import torch


def _effects(neither, sft, dpo, both):
    gaps = both - sft - dpo + neither
    of_sft = (sft - neither + both - dpo) / 2
    return [
        of_sft.mean(), (dpo - neither + both - sft).mean() / 2, gaps.mean(),
        gaps.std() / math.sqrt(len(gaps)),
    ]  # fmt: skip


def right_torch(neither, sft, dpo, both):
    return _effects(neither, sft, dpo, both)


def right_statistics(neither, sft, dpo, both):
    gaps = [(b - s) - (d - o) for o, s, d, b in zip(*map(list, (neither, sft, dpo, both)))]
    gaps = [float(gap) for gap in gaps]
    o, s, d, b = (statistics.fmean(scores.tolist()) for scores in (neither, sft, dpo, both))
    error = statistics.stdev(gaps) / len(gaps) ** 0.5
    return (s + b) / 2 - (o + d) / 2, (d + b) / 2 - (o + s) / 2, statistics.fmean(gaps), error


def right_contrasts(neither, sft, dpo, both):
    scores = torch.stack([neither, sft, dpo, both])
    signs = torch.tensor([[-1, 1, -1, 1], [-1, -1, 1, 1], [2, -2, -2, 2]]).double() / 2
    contrasts = signs @ scores
    return (*contrasts.mean(1), (contrasts[2].var() / scores.shape[1]).sqrt())


def right_numpy(neither, sft, dpo, both):
    table = np.stack([np.stack([neither, dpo]), np.stack([sft, both])])
    means = table.mean(-1)
    gaps = table[1, 1] - table[1, 0] - table[0, 1] + table[0, 0]
    main = np.diff(means.mean(1))[0], np.diff(means.mean(0))[0]
    return (*main, gaps.mean(), gaps.std(ddof=1) / np.sqrt(len(gaps)))


def wrong_without_the_other(neither, sft, dpo, both):
    """each stage's effect without the other"""
    *_, joint, error = _effects(neither, sft, dpo, both)
    return (sft - neither).mean(), (dpo - neither).mean(), joint, error


def wrong_after_the_other(neither, sft, dpo, both):
    """each stage's effect after the other"""
    *_, joint, error = _effects(neither, sft, dpo, both)
    return (both - dpo).mean(), (both - sft).mean(), joint, error


def wrong_sum(neither, sft, dpo, both):
    """not their sum"""
    of_sft, of_dpo, joint, error = _effects(neither, sft, dpo, both)
    return 2 * of_sft, 2 * of_dpo, joint, error


def wrong_exchanged(neither, sft, dpo, both):
    """are exchanged"""
    return _effects(neither, dpo, sft, both)


def wrong_sign(neither, sft, dpo, both):
    """the interaction's sign"""
    of_sft, of_dpo, joint, error = _effects(neither, sft, dpo, both)
    return of_sft, of_dpo, -joint, error


def wrong_half(neither, sft, dpo, both):
    """the interaction is not halved"""
    of_sft, of_dpo, joint, error = _effects(neither, sft, dpo, both)
    return of_sft, of_dpo, joint / 2, error / 2


def wrong_gain(neither, sft, dpo, both):
    """what both stages gain together"""
    of_sft, of_dpo, *_ = _effects(neither, sft, dpo, both)
    gain = both - neither
    return of_sft, of_dpo, gain.mean(), gain.std() / math.sqrt(len(gain))


def wrong_better_single(neither, sft, dpo, both):
    """the better single stage"""
    of_sft, of_dpo, *_ = _effects(neither, sft, dpo, both)
    gain = both - torch.maximum(sft, dpo)
    return of_sft, of_dpo, gain.mean(), gain.std() / math.sqrt(len(gain))


def wrong_unpaired(neither, sft, dpo, both):
    """as if each model had prompts of its own"""
    variance = sum(scores.var() for scores in (neither, sft, dpo, both))
    return *_effects(neither, sft, dpo, both)[:3], (variance / len(sft)).sqrt()


def wrong_single_prompts(neither, sft, dpo, both):
    """the spread of single prompts"""
    return *_effects(neither, sft, dpo, both)[:3], (both - sft - dpo + neither).std()


def wrong_by_n(neither, sft, dpo, both):
    """divided by n, not by its root"""
    *effects, error = _effects(neither, sft, dpo, both)
    return *effects, error / math.sqrt(len(sft))


def wrong_correction(neither, sft, dpo, both):
    """n - 1 in its denominator"""
    gaps = (both - sft - dpo + neither).numpy()
    return *_effects(neither, sft, dpo, both)[:3], gaps.std() / math.sqrt(len(gaps))


def wrong_error_of_main(neither, sft, dpo, both):
    gains = both - neither
    return *_effects(neither, sft, dpo, both)[:3], gains.std() / math.sqrt(len(gains))


def wrong_medians(neither, sft, dpo, both):
    *effects, error = _effects(neither, sft, dpo, both)
    return *effects[:2], (both - sft - dpo + neither).median(), error


def wrong_order(neither, sft, dpo, both):
    of_sft, of_dpo, joint, error = _effects(neither, sft, dpo, both)
    return of_sft, of_dpo, error, joint
