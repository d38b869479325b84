import torch
import torch.nn.functional as F


def right_two_steps(x, weight, a, b, alpha):
    scale = alpha / a.shape[0]
    return x @ weight.T + scale * (x @ a.T) @ b.T, weight + scale * (b @ a)


def right_merged_first(x, weight, a, b, alpha):
    merged = weight + alpha / b.shape[1] * b @ a
    return F.linear(x, merged), merged


def right_modules(x, weight, a, b, alpha):
    down = F.linear(x, a)
    outputs = torch.add(F.linear(x, weight), F.linear(down, b), alpha=alpha / len(a))
    return outputs, torch.addmm(weight, b, a, alpha=alpha / len(a))


def right_frozen(x, weight, a, b, alpha):
    weight = weight.detach()
    merged = weight + torch.einsum("or,ri->oi", b, a) * (alpha / len(a))
    return torch.einsum("ni,oi->no", x, merged), merged


def wrong_no_rank(x, weight, a, b, alpha):
    """the update is not divided by the rank"""
    merged = weight + alpha * b @ a
    return x @ merged.T, merged


def wrong_no_alpha(x, weight, a, b, alpha):
    """the update is not scaled"""
    merged = weight + b @ a
    return x @ merged.T, merged


def wrong_root(x, weight, a, b, alpha):
    """divided by the root of the rank"""
    merged = weight + alpha / len(a) ** 0.5 * b @ a
    return x @ merged.T, merged


def wrong_inputs(x, weight, a, b, alpha):
    """divided by the number of inputs"""
    merged = weight + alpha / a.shape[1] * b @ a
    return x @ merged.T, merged


def wrong_update_alone(x, weight, a, b, alpha):
    """the update alone"""
    update = alpha / len(a) * b @ a
    return x @ update.T, update


def wrong_base_scaled(x, weight, a, b, alpha):
    """the frozen weight is scaled too"""
    merged = alpha / len(a) * (weight + b @ a)
    return x @ merged.T, merged


def wrong_sign(x, weight, a, b, alpha):
    """taken away"""
    merged = weight - alpha / len(a) * b @ a
    return x @ merged.T, merged


def wrong_twice(x, weight, a, b, alpha):
    """the update comes twice"""
    update = alpha / len(a) * b @ a
    merged = weight + update
    return x @ merged.T + x @ update.T, merged


def wrong_outputs_of_base(x, weight, a, b, alpha):
    """the outputs are the base model's"""
    return x @ weight.T, weight + alpha / len(a) * b @ a


def wrong_merged_transposed(x, weight, a, b, alpha):
    outputs, merged = right_two_steps(x, weight, a, b, alpha)
    return outputs, merged.T


def wrong_order(x, weight, a, b, alpha):
    merged = weight + alpha / len(a) * a @ b
    return x @ merged.T, merged


def wrong_not_merged(x, weight, a, b, alpha):
    return right_two_steps(x, weight, a, b, alpha)[0], weight


def wrong_detached(x, weight, a, b, alpha):
    with torch.no_grad():
        return right_two_steps(x, weight, a, b, alpha)


def wrong_gradient_of_merged_only(x, weight, a, b, alpha):
    outputs, merged = right_two_steps(x, weight, a, b, alpha)
    return outputs.detach(), merged


def wrong_outputs_only(x, weight, a, b, alpha):
    return right_two_steps(x, weight, a, b, alpha)[0]


def wrong_in_place(x, weight, a, b, alpha):
    weight += alpha / len(a) * (b @ a).detach()
    return right_two_steps(x, weight, a, 0 * b, alpha)
