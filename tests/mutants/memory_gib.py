import torch

GIB = 2**30


def _totals(policy, reference, reward, value):
    sizes = torch.tensor([policy, reference, reward, value], dtype=torch.float64)
    return sizes.cumsum(0) / GIB


def _sizes(parameters, adapters, frozen_bytes, trained_bytes):
    frozen = parameters * frozen_bytes
    if adapters:
        return frozen + adapters * trained_bytes, 0, frozen
    return parameters * trained_bytes, frozen, frozen


def right_cumulative(parameters, adapters, frozen_bytes, trained_bytes):
    policy, reference, reward = _sizes(parameters, adapters, frozen_bytes, trained_bytes)
    return _totals(policy, reference, reward, policy)


def right_list(parameters, adapters, frozen_bytes, trained_bytes):
    copy = parameters * frozen_bytes / 1024**3
    if adapters == 0:
        trained = parameters * trained_bytes / 1024**3
        return [trained, trained + copy, trained + 2 * copy, 2 * trained + 2 * copy]
    trained = copy + adapters * trained_bytes / 1024**3
    return [trained, trained, trained + copy, 2 * trained + copy]


def right_matrix(parameters, adapters, frozen_bytes, trained_bytes):
    if adapters:
        frozen, trained = [1, 1, 2, 3], [1, 1, 1, 2]
    else:
        frozen, trained = [0, 1, 2, 2], [1, 1, 1, 2]
    counts = torch.tensor([frozen, trained], dtype=torch.float64)
    sizes = [parameters * frozen_bytes, (adapters or parameters) * trained_bytes]
    return torch.tensor(sizes, dtype=torch.float64) @ counts / GIB


def wrong_unit(parameters, adapters, frozen_bytes, trained_bytes):
    """a GiB has 2**30"""
    return right_cumulative(parameters, adapters, frozen_bytes, trained_bytes) * GIB / 10**9


def wrong_no_reference_in_dpo(parameters, adapters, frozen_bytes, trained_bytes):
    """DPO has a reference too"""
    found = right_cumulative(parameters, adapters, frozen_bytes, trained_bytes)
    return torch.stack([found[0], found[0], found[2], found[3]])


def wrong_no_reward_model(parameters, adapters, frozen_bytes, trained_bytes):
    """two frozen models"""
    policy, reference, _ = _sizes(parameters, adapters, frozen_bytes, trained_bytes)
    return _totals(policy, reference, 0, policy)


def wrong_no_reference_in_rlhf(parameters, adapters, frozen_bytes, trained_bytes):
    """two frozen models"""
    policy, reference, reward = _sizes(parameters, adapters, frozen_bytes, trained_bytes)
    found = [policy, policy + reference, policy + reward, 2 * policy + reward]
    return torch.tensor(found, dtype=torch.float64) / GIB


def wrong_reference_copied(parameters, adapters, frozen_bytes, trained_bytes):
    """with adapters switched off"""
    policy, _, reward = _sizes(parameters, adapters, frozen_bytes, trained_bytes)
    return _totals(policy, reward, reward, policy)


def wrong_reference_trained(parameters, adapters, frozen_bytes, trained_bytes):
    """the reference is frozen"""
    policy, reference, reward = _sizes(parameters, adapters, frozen_bytes, trained_bytes)
    return _totals(policy, policy if reference else 0, reward, policy)


def wrong_reward_model_trained(parameters, adapters, frozen_bytes, trained_bytes):
    """the reward model is frozen"""
    policy, reference, _ = _sizes(parameters, adapters, frozen_bytes, trained_bytes)
    return _totals(policy, reference, policy, policy)


def wrong_value_frozen(parameters, adapters, frozen_bytes, trained_bytes):
    """the value model is trained"""
    policy, reference, reward = _sizes(parameters, adapters, frozen_bytes, trained_bytes)
    return _totals(policy, reference, reward, reward)


def wrong_no_value(parameters, adapters, frozen_bytes, trained_bytes):
    """the value model is missing"""
    policy, reference, reward = _sizes(parameters, adapters, frozen_bytes, trained_bytes)
    return _totals(policy, reference, reward, 0)


def wrong_adapters_alone(parameters, adapters, frozen_bytes, trained_bytes):
    """needed too, frozen"""
    policy, reference, reward = _sizes(parameters, adapters, frozen_bytes, trained_bytes)
    policy = (adapters or parameters) * trained_bytes
    return _totals(policy, reference, reward, policy)


def wrong_all_trained(parameters, adapters, frozen_bytes, trained_bytes):
    """the weights under the adapters are frozen"""
    _, reference, reward = _sizes(parameters, adapters, frozen_bytes, trained_bytes)
    policy = (adapters + parameters) * trained_bytes
    return _totals(policy, reference, reward, policy)


def wrong_adapters_frozen(parameters, adapters, frozen_bytes, trained_bytes):
    """the adapters are trained"""
    policy, reference, reward = _sizes(parameters, adapters, frozen_bytes, trained_bytes)
    policy = (parameters + adapters) * frozen_bytes if adapters else policy
    return _totals(policy, reference, reward, policy)


def wrong_counted_twice(parameters, adapters, frozen_bytes, trained_bytes):
    """trained_bytes has the weight itself in it"""
    policy, reference, reward = _sizes(parameters, adapters, frozen_bytes, trained_bytes)
    policy += (adapters or parameters) * frozen_bytes
    return _totals(policy, reference, reward, policy)


def wrong_each_model(parameters, adapters, frozen_bytes, trained_bytes):
    policy, reference, reward = _sizes(parameters, adapters, frozen_bytes, trained_bytes)
    return torch.tensor([policy, reference, reward, policy], dtype=torch.float64) / GIB


def wrong_no_adapters_known(parameters, adapters, frozen_bytes, trained_bytes):
    return right_cumulative(parameters, 0, frozen_bytes, trained_bytes)


def wrong_sixteen(parameters, adapters, frozen_bytes, trained_bytes):
    return right_cumulative(parameters, adapters, 2, 16)
