"""Lengths in tokens: which rows leave room for a response, and how long those are that train."""

import os

from datasets import Dataset
from pyarrow.compute import list_value_length

from alignlab.files import DataError
from alignlab.folders import RunError


def fitting_rows(dataset: Dataset, tokenizer, settings: dict, drop: bool = False) -> Dataset:
    """Return the rows whose prompt is shorter than ``max_length`` tokens.

    TRL drops the others without a word. Here the first of them is an error, unless ``drop`` asks
    for what TRL does; then a line says how many of how many rows were dropped. Prompts are laid
    out by the chat template, with the opening of the response.

    Args:
        dataset: with a column ``prompt``, lists of messages (see data.py).
        settings: of the run; only ``max_length`` (tokens of prompt and response together; None is
            no limit) and ``truncation_mode`` (``"keep_end"`` cuts prompts, so all fit) count here.
        drop: the run's option ``drop_too_long``.

    Raises:
        DataError: a prompt that is too long; names its row, its tokens, and the option.
        RunError: no prompt is short enough, so that dropping would leave nothing.
    """
    limit = settings.get("max_length")
    if not limit or settings.get("truncation_mode") == "keep_end" or not len(dataset):
        return dataset
    prompts = tokenizer.apply_chat_template(list(dataset["prompt"]), add_generation_prompt=True)
    lengths = [len(ids) for ids in prompts["input_ids"]]
    long = [row for row, length in enumerate(lengths) if length >= limit]
    if not long:
        return dataset
    if len(long) == len(lengths):
        raise RunError(f"no row is left: none fits into max_length={limit} tokens")
    source, many = dataset.info.description or "the data set", f"{len(long)} of {len(lengths)} rows"
    if not drop:
        raise DataError(
            f"{source}, row {long[0] + 1}, field 'prompt': {lengths[long[0]]} tokens leave no room "
            f"for a response; expected fewer than {limit} (too long: {many}; "
            "drop_too_long, --drop-too-long, leaves them out)"
        )
    if os.environ.get("RANK", "0") == "0":  # of several processes one speaks
        shown = ", ".join(str(row + 1) for row in long[:8]) + ", ..." * (len(long) > 8)
        print(f"{source}: dropped {many}, whose prompts have {limit} tokens or more: {shown}")
    return dataset.select([row for row, length in enumerate(lengths) if length < limit])


def token_lengths(dataset: Dataset) -> list[int]:
    """Return the tokens of each row that a trainer has prepared; [] if they are not to be known.

    Of two responses the longer counts.
    """
    names = ("input_ids", "prompt_ids", "chosen_ids", "rejected_ids")
    table = dataset.select_columns([n for n in names if n in dataset.column_names])
    table = table.with_format("arrow")[:]
    counts = {name: list_value_length(table[name]).to_pylist() for name in table.column_names}
    prompts = counts.pop("prompt_ids", [0] * len(table))
    return [prompt + max(row) for prompt, *row in zip(prompts, *counts.values())] if counts else []
