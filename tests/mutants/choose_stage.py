import numpy as np
import torch


def _stages(*arguments, **changes):
    """Return the rule's stages; changes name a step and what to put in its place."""
    prompted, retrieved, reached, labels, choices, cost, target, trusted = arguments
    enough = changes.get("enough", torch.maximum(prompted, retrieved) >= target)
    able = changes.get("able", reached >= target)
    write = changes.get("write", labels >= trusted)
    compare = changes.get("compare", 2 * choices - 1 >= trusted)
    cheap = changes.get("cheap", cost < 1)
    alone = changes.get("alone", labels >= target)
    taken = compare & (cheap | ~write)
    stages = torch.where(able, torch.where(taken, 2, write.long()),
                         write * torch.where(alone | ~compare, 1, 3))  # fmt: skip
    return stages * ~enough


def right_torch(*arguments):
    return _stages(*arguments)


def right_cascade(
    prompted, retrieved, reached, label_agreement, choice_agreement, comparison_cost, target,
    trusted,
):  # fmt: skip
    stages = []
    for i in range(len(prompted)):
        demonstrations = label_agreement[i] >= trusted
        comparisons = choice_agreement[i] - (1 - choice_agreement[i]) >= trusted
        if prompted[i] >= target or retrieved[i] >= target:
            stages.append(0)
        elif reached[i] >= target:
            if comparisons and demonstrations:
                stages.append(2 if comparison_cost[i] < 1 else 1)
            else:
                stages.append(2 * bool(comparisons) + 1 * bool(demonstrations))
        elif demonstrations:
            needed = comparisons and label_agreement[i] < target
            stages.append(3 if needed else 1)
        else:
            stages.append(0)
    return stages


def right_numpy(*arguments):
    *figures, target, trusted = arguments
    prompted, retrieved, reached, labels, choices, cost = (x.numpy() for x in figures)
    write, compare = labels >= trusted, 2 * choices - 1 >= trusted
    able, alone = reached >= target, labels >= target
    conditions = [
        np.maximum(prompted, retrieved) >= target,
        able & compare & ((cost < 1) | ~write),
        ~able & write & compare & ~alone,
        write,
    ]
    return np.select(conditions, [0, 2, 3, 1], 0)


def wrong_prompt_alone(*arguments):
    """retrieval alone may be enough"""
    return _stages(*arguments, enough=arguments[0] >= arguments[6])


def wrong_both_needed(*arguments):
    """has to reach the target, not both"""
    return _stages(*arguments, enough=torch.minimum(*arguments[:2]) >= arguments[6])


def wrong_always_training(*arguments):
    """training where prompting or retrieval is enough already"""
    return _stages(*arguments, enough=torch.zeros_like(arguments[0], dtype=torch.bool))


def wrong_chance(*arguments):
    """half of all choices agree by chance"""
    return _stages(*arguments, compare=arguments[4] >= arguments[7])


def wrong_strict_labels(*arguments):
    """the share that is trusted, not on the target"""
    return _stages(*arguments, write=arguments[3] >= arguments[6])


def wrong_no_cost(*arguments):
    """it does not matter which is cheaper"""
    return _stages(*arguments, cheap=torch.ones_like(arguments[5], dtype=torch.bool))


def wrong_dearer(*arguments):
    """the dearer of the two"""
    return _stages(*arguments, cheap=arguments[5] > 1)


def wrong_equal_cost(*arguments):
    """are not cheaper"""
    return _stages(*arguments, cheap=arguments[5] <= 1)


def wrong_reach_ignored(*arguments):
    """comparisons that cannot help"""
    return _stages(*arguments, able=torch.ones_like(arguments[2], dtype=torch.bool))


def wrong_always_demonstrations(*arguments):
    """demonstrations for what the model can do already"""
    return _stages(*arguments, able=torch.zeros_like(arguments[2], dtype=torch.bool))


def wrong_both_always(*arguments):
    """both where SFT alone is enough"""
    return _stages(*arguments, alone=torch.zeros_like(arguments[3], dtype=torch.bool))


def wrong_never_both(*arguments):
    """SFT alone leaves open"""
    return _stages(*arguments, alone=torch.ones_like(arguments[3], dtype=torch.bool))


def wrong_codes(*arguments):
    """the codes"""
    return torch.tensor([0, 2, 1, 3])[_stages(*arguments)]


def wrong_strict_limits(*arguments):
    """a figure equal to its limit"""
    *figures, target, trusted = arguments
    return _stages(*figures, target + 1e-9, trusted + 1e-9)


def wrong_comparisons_without_reach(*arguments):
    stages, compare = _stages(*arguments), 2 * arguments[4] - 1 >= arguments[7]
    enough = torch.maximum(*arguments[:2]) >= arguments[6]
    return torch.where((stages == 0) & compare & ~enough, 2, stages)


def wrong_floats(*arguments):
    return _stages(*arguments).double()


def wrong_one_answer(*arguments):
    return int(_stages(*arguments).max())
