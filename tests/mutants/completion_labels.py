import torch


def right_masked_fill(input_ids, prompt_lengths, attention_mask):
    places = torch.arange(input_ids.shape[1])
    prompt = places < prompt_lengths.unsqueeze(-1)
    return input_ids.masked_fill(prompt | (attention_mask == 0), -100)


def right_loop(input_ids, prompt_lengths, attention_mask):
    labels = torch.full_like(input_ids, -100)
    for row, start in enumerate(prompt_lengths.tolist()):
        end = int(attention_mask[row].sum())
        labels[row, start:end] = input_ids[row, start:end]
    return labels


def right_lists(input_ids, prompt_lengths, attention_mask):
    labels = []
    for ids, start, mask in zip(input_ids, prompt_lengths, attention_mask.bool()):
        labels.append(
            [int(t) if m and i >= start else -100 for i, (t, m) in enumerate(zip(ids, mask))]
        )
    return labels


def right_int32(input_ids, prompt_lengths, attention_mask):
    return right_loop(input_ids, prompt_lengths, attention_mask).to(torch.int32)


def wrong_prompt_kept(input_ids, prompt_lengths, attention_mask):
    """the prompt is not masked"""
    labels = input_ids.clone()
    labels[attention_mask == 0] = -100
    return labels


def wrong_padding_kept(input_ids, prompt_lengths, attention_mask):
    """the padding is not masked"""
    labels = input_ids.clone()
    for row, start in enumerate(prompt_lengths):
        labels[row, :start] = -100
    return labels


def wrong_one_early(input_ids, prompt_lengths, attention_mask):
    """the mask begins one token early"""
    return right_loop(input_ids, (prompt_lengths - 1).clamp(min=0), attention_mask)


def wrong_one_late(input_ids, prompt_lengths, attention_mask):
    """the mask ends one token late"""
    labels = right_loop(input_ids, prompt_lengths, attention_mask)
    for row, start in enumerate(prompt_lengths):
        labels[row, : start + 1] = -100
    return labels


def wrong_last_token(input_ids, prompt_lengths, attention_mask):
    """so the model never learns to stop"""
    labels = right_loop(input_ids, prompt_lengths, attention_mask)
    for row, end in enumerate(attention_mask.sum(-1)):
        labels[row, end - 1 :] = -100
    return labels


def wrong_padding_by_id(input_ids, prompt_lengths, attention_mask):
    """padding is found by its id"""
    labels = right_loop(input_ids, prompt_lengths, attention_mask)
    labels[input_ids == input_ids[0, -1]] = -100
    return labels


def wrong_longest_prompt(input_ids, prompt_lengths, attention_mask):
    """all rows are cut at the longest prompt"""
    labels = input_ids.clone()
    labels[:, : int(prompt_lengths.max())] = -100
    labels[attention_mask == 0] = -100
    return labels


def wrong_zero(input_ids, prompt_lengths, attention_mask):
    """masked tokens get 0"""
    inside = torch.arange(input_ids.shape[1]) >= prompt_lengths[:, None]
    return input_ids * inside * attention_mask


def wrong_shifted(input_ids, prompt_lengths, attention_mask):
    """the labels are shifted"""
    return right_loop(input_ids, prompt_lengths, attention_mask).roll(-1, dims=1)


def wrong_inverted(input_ids, prompt_lengths, attention_mask):
    """the mask is the wrong way round"""
    completion = torch.arange(input_ids.shape[1]) >= prompt_lengths[:, None]
    return torch.where(completion & (attention_mask == 1), -100, input_ids)


def wrong_in_place(input_ids, prompt_lengths, attention_mask):
    prompt = torch.arange(input_ids.shape[1]) < prompt_lengths[:, None]
    input_ids[prompt | (attention_mask == 0)] = -100
    return input_ids


def wrong_left_padding(input_ids, prompt_lengths, attention_mask):
    labels = torch.full_like(input_ids, -100)
    for row, mask in enumerate(attention_mask):
        start = int((mask == 0).sum()) + int(prompt_lengths[row])
        labels[row, start:] = input_ids[row, start:]
    return labels


def wrong_floats(input_ids, prompt_lengths, attention_mask):
    return right_loop(input_ids, prompt_lengths, attention_mask).float()


def wrong_nothing_returned(input_ids, prompt_lengths, attention_mask):
    right_loop(input_ids, prompt_lengths, attention_mask)
