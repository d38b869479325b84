import torch


def right_unique(kept, prompt_ids):
    _, place = prompt_ids.unique(return_inverse=True)
    broken = torch.zeros(place.max() + 1).index_add(0, place, (1 - kept).float())
    return kept.double().mean(), (broken == 0).double().mean()


def right_sets(kept, prompt_ids):
    prompts = set(prompt_ids.tolist())
    broken = set(prompt_ids[kept == 0].tolist())
    return kept.sum() / len(kept), len(prompts - broken) / len(prompts)


def right_loop(kept, prompt_ids):
    whole = {}
    for one, prompt in zip(kept.tolist(), prompt_ids.tolist()):
        whole[prompt] = whole.get(prompt, True) and one == 1
    return sum(kept.tolist()) / len(kept), sum(whole.values()) / len(whole)


def right_table(kept, prompt_ids):
    own = prompt_ids.unique()[:, None] == prompt_ids
    return kept.double().mean(), ((kept == 1) | ~own).all(1).double().mean()


def _groups(kept, prompt_ids):
    return [kept[prompt_ids == prompt].double() for prompt in prompt_ids.unique()]


def _mean(values):
    return torch.stack(list(values)).double().mean()


def wrong_any(kept, prompt_ids):
    """one kept instruction is not enough"""
    return kept.double().mean(), _mean(group.amax() for group in _groups(kept, prompt_ids))


def wrong_partly(kept, prompt_ids):
    """this is the mean of the prompts' shares"""
    return kept.double().mean(), _mean(group.mean() for group in _groups(kept, prompt_ids))


def wrong_by_prompt(kept, prompt_ids):
    """every instruction counts the same in the first number"""
    shares = _mean(group.mean() for group in _groups(kept, prompt_ids))
    return shares, right_unique(kept, prompt_ids)[1]


def wrong_denominator(kept, prompt_ids):
    """divided by the number of instructions"""
    whole = sum(group.amin() for group in _groups(kept, prompt_ids))
    return kept.double().mean(), whole / len(kept)


def wrong_weighed(kept, prompt_ids):
    """every prompt counts the same"""
    whole = torch.stack([kept[prompt_ids == prompt].amin() for prompt in prompt_ids])
    return kept.double().mean(), whole.double().mean()


def wrong_gaps(kept, prompt_ids):
    """the ids are names"""
    broken = torch.bincount(prompt_ids, (1 - kept).double())
    return kept.double().mean(), (broken == 0).double().mean()


def wrong_runs(kept, prompt_ids):
    """need not follow each other"""
    _, place = torch.unique_consecutive(prompt_ids, return_inverse=True)
    broken = torch.bincount(place, (1 - kept).double())
    return kept.double().mean(), (broken == 0).double().mean()


def wrong_broken(kept, prompt_ids):
    """not kept"""
    instructions, prompts = right_unique(kept, prompt_ids)
    return 1 - instructions, 1 - prompts


def wrong_exchanged(kept, prompt_ids):
    """the two numbers are exchanged"""
    return right_unique(kept, prompt_ids)[::-1]


def wrong_counts(kept, prompt_ids):
    return kept.sum(), sum(group.amin() for group in _groups(kept, prompt_ids))


def wrong_absent_fail(kept, prompt_ids):
    whole = sum(group.amin() for group in _groups(kept, prompt_ids))
    return kept.double().mean(), whole / (prompt_ids.max() + 1)


def wrong_majority(kept, prompt_ids):
    halves = ((group.mean() > 0.5).double() for group in _groups(kept, prompt_ids))
    return kept.double().mean(), torch.stack(list(halves)).mean()


def wrong_power(kept, prompt_ids):
    share = kept.double().mean()
    return share, share ** (len(kept) / len(prompt_ids.unique()))
