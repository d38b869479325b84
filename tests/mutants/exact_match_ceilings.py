import torch


def right_torch(probabilities):
    return probabilities.amax(-1).mean(), probabilities.square().sum(-1).mean()


def right_loop(probabilities):
    best = sampled = 0.0
    for row in probabilities.tolist():
        best += max(row)
        sampled += sum(p**2 for p in row)
    return best / len(probabilities), sampled / len(probabilities)


def right_products(probabilities):
    p = probabilities.double()
    guess = torch.nn.functional.one_hot(p.argmax(-1), p.shape[-1]).double()
    return [(guess * p).sum() / len(p), torch.einsum("nm,nm->", p, p) / len(p)]


def wrong_both_best(probabilities):
    """both are the best guess"""
    best = probabilities.amax(-1).mean()
    return best, best


def wrong_both_sampled(probabilities):
    """both are what sampling gives"""
    sampled = probabilities.square().sum(-1).mean()
    return sampled, sampled


def wrong_way_round(probabilities):
    """the other way round"""
    return right_torch(probabilities)[::-1]


def wrong_one_distribution(probabilities):
    """one distribution for all inputs"""
    return right_torch(probabilities.mean(0, keepdim=True))


def wrong_sum(probabilities):
    """summed over the inputs"""
    return probabilities.amax(-1).sum(), probabilities.square().sum()


def wrong_uniform(probabilities):
    """1/M"""
    return (1 / probabilities.shape[1],) * 2


def wrong_square_of_best(probabilities):
    """the share of the highest in the sampled one"""
    best = probabilities.amax(-1)
    return best.mean(), best.square().mean()


def wrong_mismatch(probabilities):
    """1 minus the share"""
    best, sampled = right_torch(probabilities)
    return 1 - best, 1 - sampled


def wrong_certain(probabilities):
    return 1.0, 1.0


def wrong_perplexity(probabilities):
    entropy = torch.special.entr(probabilities).sum(-1)
    return probabilities.amax(-1).mean(), (-entropy).exp().mean()


def wrong_square_after_mean(probabilities):
    """averaged before it is squared"""
    return probabilities.amax(-1).mean(), probabilities.mean(0).square().sum()
