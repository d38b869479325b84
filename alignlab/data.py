"""Data for training: rows of any usual format, checked, in TRL's conversational columns.

A source is a local file or the id of a Hub data set (both are read in files.py), or ``world:TASK``.
Whatever the format of its rows, out come ``prompt`` and ``completion``, or ``prompt``, ``chosen``
and ``rejected``, each a list of ``{"role", "content"}``. Nothing is repaired and no row is dropped:
the first bad one raises a DataError naming file, line, field and what was expected.
"""

import re
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path

import datasets

from alignlab.files import DataError, file_rows, line_rows, located_rows, shown
from alignlab.files import read_rows as read_rows
from alignlab.world import SPLITS, World
from alignlab.world.instructions import FAMILIES
from alignlab.world.preferences import draw_pairs
from alignlab.world.recipes import compared, labelled, preference_rows, sft_rows
from alignlab.world.tasks import TASKS, draw_examples

ROLES = ("system", "user", "assistant", "tool")
SPEAKERS = {"Human": "user", "Assistant": "assistant"}
WORLD_EXAMPLES = 500  # rows drawn for one task of the world; its mixtures have sizes of their own
WORLD_SFT = ("sft", *TASKS, *FAMILIES)
WORLD_PREFERENCES = ("preferences", "style", "abstention")


def read_prompts(source: str | Path) -> list[str | list[dict]]:
    """Return prompts: the field ``prompt`` (text or messages) of every row, or lines of plain text.

    Args:
        source: a file as for ``read_rows``; in any other every line that is not blank is a prompt.

    Raises:
        DataError: as ``read_rows``; also a row without a prompt.
    """
    prompts = []
    for place, row in file_rows(Path(source), otherwise=line_rows):
        turns = _turns(row, "prompt", "user", place)
        prompts.append(turns if isinstance(row["prompt"], list) else row["prompt"])
    return prompts


def sft_dataset(source: str | Path, seed: int = 0, split: str = "train") -> datasets.Dataset:
    """Return demonstrations with the columns ``prompt`` and ``completion``, lists of messages.

    Rows may have ``prompt`` and ``completion`` (text or messages: TRL), ``messages`` (all but the
    last, which must be the assistant's, are the prompt) or ``instruction``, ``input`` and
    ``output`` (Alpaca; the input goes below the instruction). Text is kept as it is.

    Args:
        source: a file (``read_rows``), a Hub id, or ``world:`` and ``sft`` (the mixture of the
            bundled recipe), a task or a family of ``alignlab.world.tasks``.
        seed: of the draw from the world; the rows of a file or Hub data set keep their order.
        split: of the world (``train``, ``validation``, ``test``) or the Hub data set; a file is
            one split, ``train``.

    Raises:
        DataError: nothing there, or the first row that is not as it should be.
    """
    return _dataset(source, seed, split, WORLD_SFT, SFT_FORMATS)


def preference_dataset(source: str | Path, seed: int = 0, split: str = "train") -> datasets.Dataset:
    """Return comparisons with the columns ``prompt``, ``chosen`` and ``rejected``.

    Rows may have all three (text or messages: TRL), or two whole conversations ``chosen`` and
    ``rejected`` whose common beginning is the prompt: lists of messages, or transcripts of
    ``"\\n\\nHuman: "`` and ``"\\n\\nAssistant: "`` (HH-RLHF, Bai et al. 2022).

    Args:
        source: as for ``sft_dataset``, with ``world:preferences`` (the mixture of the bundled
            recipe), ``world:style`` and ``world:abstention``.
        seed, split: as for ``sft_dataset``.

    Raises:
        DataError: nothing there, or the first row that is not as it should be.
    """
    return _dataset(source, seed, split, WORLD_PREFERENCES, PREFERENCE_FORMATS)


def check_lengths(dataset: datasets.Dataset, tokenizer, max_length: int) -> None:
    """Raise a DataError if a prompt leaves no room for a response in ``max_length`` tokens.

    TRL drops such rows without a word, and without any left fails far from the cause. Prompts are
    laid out by the chat template, with the opening of the response.
    """
    prompts = tokenizer.apply_chat_template(list(dataset["prompt"]), add_generation_prompt=True)
    lengths = [len(ids) for ids in prompts["input_ids"]]
    if long := [row for row, length in enumerate(lengths) if length >= max_length]:
        raise DataError(
            f"{dataset.info.description or 'the data set'}, row {long[0] + 1}, field 'prompt': "
            f"{lengths[long[0]]} tokens leave no room for a response; expected fewer than "
            f"{max_length} (too long: {len(long)} of {len(lengths)} rows)"
        )


def show_mask(tokenizer, row: dict) -> list[tuple[str, int]]:
    """Return the tokens of a row as text, each with 1 where the loss counts it and 0 where not.

    As in TRL's trainers, the completion begins where the prompt alone, laid out by the chat
    template with the opening of the response, and the whole conversation part.

    Args:
        row: of ``sft_dataset`` or of ``preference_dataset`` (then ``chosen`` is shown).
    """
    completion = row["completion"] if "completion" in row else row["chosen"]
    prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True)["input_ids"]
    ids = tokenizer.apply_chat_template(row["prompt"] + completion)["input_ids"]
    start = _shared(prompt, ids)
    return [(tokenizer.decode([token]), int(i >= start)) for i, token in enumerate(ids)]


def _dataset(source, seed: int, split: str, world_names: tuple, formats: dict) -> datasets.Dataset:
    source = str(source)
    if source.startswith("world:"):
        rows = _world_rows(source.removeprefix("world:"), seed, split, world_names)
    else:
        rows = _convert(located_rows(source, split), formats)
    dataset = datasets.Dataset.from_list(rows)
    dataset.info.description = source  # for the messages of check_lengths
    return dataset


def _world_rows(name: str, seed: int, split: str, names: tuple[str, ...]) -> list[dict]:
    for what, value, known in (("task", name, names), ("split", split, tuple(SPLITS))):
        if value not in known:
            nearest = get_close_matches(value, known, n=1, cutoff=0.0)[0]
            raise DataError(
                f"world:{name}: no {what} {value!r} for this use; did you mean {nearest!r}? "
                f"expected one of {', '.join(known)}"
            )
    world = World()
    if name in ("sft", "preferences"):
        if split != "train":
            raise DataError(f"world:{name}: a recipe for training; expected split 'train'")
        return sft_rows(world, seed) if name == "sft" else preference_rows(world, seed)
    if name in WORLD_PREFERENCES:
        return compared(draw_pairs(world, name, WORLD_EXAMPLES, split, seed))
    return labelled(draw_examples(world, name, WORLD_EXAMPLES, split, seed=seed), f"{name}:{seed}")


def _text(value, where: str, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: {shown(value)}; expected text")
    if not (empty or value.strip()):
        raise DataError(f"{where}: empty; expected text")
    if any("\ud800" <= character <= "\udfff" for character in value):  # JSON can spell these
        raise DataError(f"{where}: half a surrogate pair; expected valid Unicode")
    return value


def _turns(row: dict, field: str, role: str, place: str) -> list[dict]:
    """Return a field as messages; plain text becomes one message of ``role``."""
    where = f"{place}, field {field!r}"
    if field not in row:
        raise DataError(f"{where}: missing; expected beside {', '.join(map(repr, row))}")
    if not isinstance(row[field], list):
        return [{"role": role, "content": _text(row[field], where)}]
    turns = []
    for number, message in enumerate(row[field], 1):
        here = f"{where}, message {number}"
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise DataError(f"{here}: {shown(message)}; expected a role of {', '.join(ROLES)}")
        content = _text(message.get("content"), f"{here}, content", empty=True)
        turns.append({"role": message["role"], "content": content})
    if not turns:
        raise DataError(f"{where}: empty; expected messages")
    if role == "assistant" and turns[-1]["role"] != role:
        raise DataError(f"{here}: role {turns[-1]['role']!r}; expected the assistant to end")
    _text(turns[-1]["content"], f"{here}, content")  # a system message may be empty, not the last
    return turns


def _prompt_completion(row: dict, place: str) -> dict:
    roles = {"prompt": "user", "completion": "assistant"}
    return {field: _turns(row, field, role, place) for field, role in roles.items()}


def _messages(row: dict, place: str) -> dict:
    turns = _turns(row, "messages", "assistant", place)
    if len(turns) < 2:
        raise DataError(f"{place}, field 'messages': one message; expected a prompt before it")
    return {"prompt": turns[:-1], "completion": turns[-1:]}


def _alpaca(row: dict, place: str) -> dict:
    instruction = _text(row["instruction"], f"{place}, field 'instruction'")
    if row.get("input") not in (None, ""):
        instruction += "\n\n" + _text(row["input"], f"{place}, field 'input'", empty=True)
    prompt = [{"role": "user", "content": instruction}]
    return {"prompt": prompt, "completion": _turns(row, "output", "assistant", place)}


def _comparison(row: dict, place: str) -> dict:
    # A prompt repeated as text beside whole conversations adds nothing (UltraFeedback has it).
    if isinstance(row.get("prompt"), str) and isinstance(row.get("chosen"), list):
        return _common_beginning(row, place)
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    parts = {field: _turns(row, field, role, place) for field, role in roles.items()}
    return _differing(parts, place)


def _common_beginning(row: dict, place: str) -> dict:
    """Divide two conversations where they part, before a message of the assistant."""
    chosen, rejected = (_conversation(row, field, place) for field in ("chosen", "rejected"))
    start = min(_shared(chosen, rejected), len(chosen) - 1, len(rejected) - 1)
    while start and not chosen[start]["role"] == rejected[start]["role"] == "assistant":
        start -= 1
    if not start:
        raise DataError(f"{place}: 'chosen' and 'rejected' begin differently; expected one prompt")
    parts = {"prompt": chosen[:start], "chosen": chosen[start:], "rejected": rejected[start:]}
    return _differing(parts, place)


def _conversation(row: dict, field: str, place: str) -> list[dict]:
    """Return all turns. Those of a transcript, joined again, give it back exactly.

    A transcript's turn may be empty: HH-RLHF compares answers with silence.
    """
    turns = _turns(row, field, "assistant", place)
    if isinstance(row[field], list):
        return turns
    start, *parts = re.split(r"\n\n(Human|Assistant): ?", row[field])
    if start or parts[:1] != ["Human"] or parts[-2] != "Assistant":
        raise DataError(
            f"{place}, field {field!r}: {shown(row[field])}; expected a prompt field, or a "
            r"transcript from '\n\nHuman: ' to '\n\nAssistant: '"
        )
    return [{"role": SPEAKERS[who], "content": said} for who, said in zip(parts[::2], parts[1::2])]


def _differing(row: dict, place: str) -> dict:
    if row["chosen"] == row["rejected"]:
        raise DataError(f"{place}: 'chosen' equals 'rejected'; expected two different responses")
    return row


def _shared(first: list, second: list) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second)))


# Formats by the fields that tell them; the first one that a row has all of is meant.
SFT_FORMATS = {
    ("prompt", "completion"): _prompt_completion,
    ("messages",): _messages,
    ("instruction", "output"): _alpaca,
}
PREFERENCE_FORMATS = {
    ("prompt", "chosen", "rejected"): _comparison,
    ("chosen", "rejected"): _common_beginning,
}


def _recognise(row: dict, formats: dict) -> tuple[tuple[str, ...], str | None]:
    """Return the fields of a row's format and whether they hold text or messages."""
    fields = next((names for names in formats if row.keys() >= set(names)), ())
    return fields, {str: "text", list: "messages"}.get(type(row[fields[-1]]) if fields else None)


def _convert(located: list[tuple[str, dict]], formats: dict) -> list[dict]:
    """Convert rows that are all of one format; which one, the first row tells."""
    rows, (first_place, first_row) = [], located[0]
    first, first_shape = _recognise(first_row, formats)
    if not first:
        known = "; or ".join(" + ".join(names) for names in formats)
        found = ", ".join(map(repr, first_row)) or "none"
        raise DataError(f"{first_place}: fields {found}; expected {known}")
    for place, row in located:
        fields, shape = _recognise(row, formats)
        # A row that only lacks a field of the first row's format is left to the converter.
        if not set(fields) <= set(first) or (shape and first_shape and shape != first_shape):
            raise DataError(
                f"{place}: mixed formats: {' + '.join(fields)} as {shape} after "
                f"{' + '.join(first)} as {first_shape}; expected one format in all rows"
            )
        rows.append(formats[first](row, place))
    return rows
