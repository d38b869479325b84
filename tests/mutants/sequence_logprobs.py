import torch
import torch.nn.functional as F


def right_where(logits, input_ids, completion_mask):
    logprobs = logits[:, :-1].log_softmax(-1)
    found = logprobs.gather(-1, input_ids[:, 1:, None]).squeeze(-1)
    return torch.where(completion_mask[:, 1:].bool(), found, 0.0).sum(-1)


def right_ignore(logits, input_ids, completion_mask):
    labels = input_ids.masked_fill(completion_mask == 0, -100)[:, 1:]
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), labels, reduction="none")
    return -losses.sum(-1)


def right_loop(logits, input_ids, completion_mask):
    sums = []
    for row, ids, mask in zip(logits, input_ids, completion_mask):
        total = row.sum() * 0 if row.isfinite().all() else torch.zeros((), dtype=row.dtype)
        for t in range(1, len(ids)):
            if mask[t]:
                total = total + row[t - 1].log_softmax(0)[ids[t]]
        sums.append(total)
    return torch.stack(sums)


def wrong_mean(logits, input_ids, completion_mask):
    """the mean over the tokens"""
    sums = right_where(logits, input_ids, completion_mask)
    return sums / completion_mask[:, 1:].sum(-1).clamp(min=1)


def wrong_unshifted(logits, input_ids, completion_mask):
    """nothing is shifted"""
    found = logits.log_softmax(-1).gather(-1, input_ids[..., None]).squeeze(-1)
    return found.masked_fill(completion_mask == 0, 0.0).sum(-1)


def wrong_mask(logits, input_ids, completion_mask):
    """the mask is not shifted"""
    found = logits[:, :-1].log_softmax(-1).gather(-1, input_ids[:, 1:, None]).squeeze(-1)
    return found.masked_fill(completion_mask[:, :-1] == 0, 0.0).sum(-1)


def wrong_prompt(logits, input_ids, completion_mask):
    """the prompt is counted"""
    return right_where(logits, input_ids, torch.ones_like(completion_mask))


def wrong_sign(logits, input_ids, completion_mask):
    """the sign"""
    return -right_ignore(logits, input_ids, completion_mask)


def wrong_batch(logits, input_ids, completion_mask):
    """one number for the batch"""
    return right_where(logits, input_ids, completion_mask).sum()


def wrong_logits(logits, input_ids, completion_mask):
    """the normalisation is missing"""
    found = logits[:, :-1].gather(-1, input_ids[:, 1:, None]).squeeze(-1)
    return torch.where(completion_mask[:, 1:] == 1, found, 0.0).sum(-1)


def wrong_product(logits, input_ids, completion_mask):
    """0 times infinity"""
    found = logits[:, :-1].log_softmax(-1).gather(-1, input_ids[:, 1:, None]).squeeze(-1)
    return (found * completion_mask[:, 1:]).sum(-1)


def wrong_log_of_softmax(logits, input_ids, completion_mask):
    """log(softmax)"""
    p = logits[:, :-1].softmax(-1).gather(-1, input_ids[:, 1:, None]).squeeze(-1)
    return torch.where(completion_mask[:, 1:] == 1, p.log(), 0.0).sum(-1)


def wrong_length(logits, input_ids, completion_mask):
    """divided by the length of the row"""
    return right_where(logits, input_ids, completion_mask) / input_ids.shape[1]


def wrong_detached(logits, input_ids, completion_mask):
    return right_where(logits.detach(), input_ids, completion_mask)


def wrong_bits(logits, input_ids, completion_mask):
    return right_where(logits, input_ids, completion_mask) / torch.log(torch.tensor(2.0))


def wrong_last_token(logits, input_ids, completion_mask):
    return right_where(logits[:, :-1], input_ids[:, :-1], completion_mask[:, :-1])
