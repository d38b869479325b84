import torch


def right_chosen(losses, mask):
    if not mask.any():
        return losses.new_zeros(())
    return losses[mask].mean()


def right_masked_fill(losses, mask):
    return losses.masked_fill(~mask, 0.0).sum() / mask.sum().clamp(min=1)


def right_loop(losses, mask):
    total, count = torch.zeros((), dtype=losses.dtype), 0
    for row, keep in zip(losses, mask):
        total, count = total + row[keep].sum(), count + int(keep.sum())
    return total / max(count, 1)


def wrong_mean_of_means(losses, mask):
    """the mean of the rows' means"""
    return torch.stack(
        [row[keep].sum() / max(int(keep.sum()), 1) for row, keep in zip(losses, mask)]
    ).mean()


def wrong_mean_of_means_of_rows_with_tokens(losses, mask):
    return torch.stack([row[keep].mean() for row, keep in zip(losses, mask) if keep.any()]).mean()


def wrong_sum(losses, mask):
    """the sum"""
    return losses[mask].sum()


def wrong_divisor(losses, mask):
    """masked positions are counted in the divisor"""
    return losses.masked_fill(~mask, 0.0).mean()


def wrong_mean_of_all(losses, mask):
    """masked positions are counted"""
    return losses.mean()


def wrong_rows(losses, mask):
    """divided by the number of rows"""
    return losses[mask].sum() / losses.shape[0]


def wrong_product(losses, mask):
    """0 times infinity"""
    return (losses * mask).sum() / mask.sum().clamp(min=1)


def wrong_empty(losses, mask):
    """0 divided by 0"""
    return losses[mask].mean()


def wrong_per_row(losses, mask):
    """one value for each row"""
    return losses.masked_fill(~mask, 0.0).sum(-1) / mask.sum(-1).clamp(min=1)


def wrong_longest(losses, mask):
    return losses[mask].sum() / max(int(mask.sum(-1).max()), 1)


def wrong_item(losses, mask):
    """the graph is cut"""
    return right_masked_fill(losses, mask).item()


def wrong_inverted(losses, mask):
    return losses[~mask].sum() / max(int((~mask).sum()), 1)
