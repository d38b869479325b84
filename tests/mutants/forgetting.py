import torch


def right_torch(scores):
    lost = scores[:-1].amax(0) - scores[-1]
    return scores[-1].mean(), lost[:-1].mean()


def right_loop(scores):
    rows = scores.tolist()
    last, tasks = rows[-1], len(rows)
    lost = 0.0
    for task in range(tasks - 1):
        lost += max(rows[stage][task] for stage in range(tasks - 1)) - last[task]
    return sum(last) / tasks, lost / (tasks - 1)


def right_numpy(scores):
    table = scores.numpy()
    lost = (table[:-1, :-1] - table[-1, :-1]).max(axis=0)
    return table[-1].mean(), lost.mean()


def wrong_when_learned(scores):
    """from the score right after the task was learned"""
    return scores[-1].mean(), (scores.diagonal() - scores[-1])[:-1].mean()


def wrong_never_negative(scores):
    """the last stage is among the best"""
    return scores[-1].mean(), (scores.amax(0) - scores[-1])[:-1].mean()


def wrong_last_task(scores):
    """the last task has not had time"""
    return scores[-1].mean(), (scores[:-1].amax(0) - scores[-1]).mean()


def wrong_sign(scores):
    """gained, not lost"""
    return scores[-1].mean(), (scores[-1] - scores[:-1].amax(0))[:-1].mean()


def wrong_sum(scores):
    """summed over the tasks"""
    return scores[-1].mean(), (scores[:-1].amax(0) - scores[-1])[:-1].sum()


def wrong_axis(scores):
    """rows are stages"""
    return right_torch(scores.T)


def wrong_all_stages(scores):
    """the mean over all stages"""
    return scores.mean(), right_torch(scores)[1]


def wrong_when_new(scores):
    """the mean of each task when it was new"""
    return scores.diagonal().mean(), right_torch(scores)[1]


def wrong_first_stage(scores):
    """from the first stage"""
    return scores[-1].mean(), (scores[0] - scores[-1])[:-1].mean()


def wrong_relative(scores):
    best = scores[:-1].amax(0)
    return scores[-1].mean(), ((best - scores[-1]) / best)[:-1].mean()


def wrong_stage_before(scores):
    return scores[-1].mean(), (scores[-2] - scores[-1])[:-1].mean()


def wrong_absolute(scores):
    return scores[-1].mean(), (scores[:-1].amax(0) - scores[-1]).abs()[:-1].mean()


def wrong_divisor(scores):
    lost = (scores[:-1].amax(0) - scores[-1])[:-1]
    return scores[-1].mean(), torch.sum(lost) / len(scores)
