import torch


def _sums(losses, masks):
    return [part[mask].sum() for part, mask in zip(losses, masks)]


def right_divided_by_all(losses, masks):
    tokens = max(sum(int(mask.sum()) for mask in masks), 1)
    return [part / tokens for part in _sums(losses, masks)]


def right_weighted_means(losses, masks):
    counts = torch.tensor([int(mask.sum()) for mask in masks])
    shares = counts / counts.sum().clamp(min=1)
    means = [part / max(int(n), 1) for part, n in zip(_sums(losses, masks), counts)]
    return [share.double() * mean for share, mean in zip(shares.double(), means)]


def right_one_tensor(losses, masks):
    tokens = torch.cat([mask.flatten() for mask in masks]).sum().clamp(min=1)
    return torch.stack([part.masked_fill(~m, 0.0).sum() for part, m in zip(losses, masks)]) / tokens


def right_tuple(losses, masks):
    return tuple(right_divided_by_all(losses, masks))


def wrong_mean_of_means(losses, masks):
    """each micro-batch's own mean, divided by their number"""
    return [mean / len(losses) for mean in wrong_means(losses, masks)]


def wrong_means(losses, masks):
    """each micro-batch's own mean: they add up"""
    return [part / max(int(mask.sum()), 1) for part, mask in zip(_sums(losses, masks), masks)]


def wrong_sums(losses, masks):
    """the sums"""
    return _sums(losses, masks)


def wrong_rows(losses, masks):
    """divided by the number of rows"""
    rows = sum(part.shape[0] for part in losses)
    return [part / rows for part in _sums(losses, masks)]


def wrong_number_of_micro_batches(losses, masks):
    """divided by the number of micro-batches"""
    return [part / len(losses) for part in _sums(losses, masks)]


def wrong_divisor(losses, masks):
    """masked positions are counted in the divisor"""
    positions = sum(mask.numel() for mask in masks)
    return [part / positions for part in _sums(losses, masks)]


def wrong_empty(losses, masks):
    tokens = sum(int(mask.sum()) for mask in masks)
    return [part / torch.tensor(tokens) for part in _sums(losses, masks)]


def wrong_empty_micro_batch(losses, masks):
    tokens = max(sum(int(mask.sum()) for mask in masks), 1)
    return [part[mask].mean() * (int(mask.sum()) / tokens) for part, mask in zip(losses, masks)]


def wrong_one_number(losses, masks):
    return sum(right_divided_by_all(losses, masks))


def wrong_detached(losses, masks):
    """the graph is cut"""
    return [part.item() for part in right_divided_by_all(losses, masks)]


def wrong_running_count(losses, masks):
    done, parts = 0, []
    for part, mask in zip(_sums(losses, masks), masks):
        done += int(mask.sum())
        parts.append(part / max(done, 1))
    return parts
