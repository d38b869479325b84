"""Formats of rows: TRL's, Alpaca's and HH-RLHF's, checked and converted to lists of messages.

Nothing is repaired: the first row that is not as it should be raises a DataError naming its place
(file and line), the field and what was expected.
"""

import re
from collections.abc import Sequence
from itertools import takewhile

from alignlab.files import DataError, shown

ROLES = ("system", "user", "assistant", "tool")
SPEAKERS = {"Human": "user", "Assistant": "assistant"}


def _text(value, where: str, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: {shown(value)}; expected text")
    if not (empty or value.strip()):
        raise DataError(f"{where}: empty; expected text")
    if any("\ud800" <= character <= "\udfff" for character in value):  # JSON can spell these
        raise DataError(f"{where}: half a surrogate pair; expected valid Unicode")
    return value


def read_turns(row: dict, field: str, role: str, place: str) -> list[dict]:
    """Return a field as messages; plain text becomes one message of ``role``.

    Args:
        role: the speaker of plain text; where it is the assistant, messages must end with theirs.
        place: of the row, for messages of errors (``"rows.jsonl, line 2"``).

    Raises:
        DataError: the field is missing, empty, or neither text nor messages.
    """
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
    return {field: read_turns(row, field, role, place) for field, role in roles.items()}


def _messages(row: dict, place: str) -> dict:
    turns = read_turns(row, "messages", "assistant", place)
    if len(turns) < 2:
        raise DataError(f"{place}, field 'messages': one message; expected a prompt before it")
    return {"prompt": turns[:-1], "completion": turns[-1:]}


def _alpaca(row: dict, place: str) -> dict:
    instruction = _text(row["instruction"], f"{place}, field 'instruction'")
    if row.get("input") not in (None, ""):
        instruction += "\n\n" + _text(row["input"], f"{place}, field 'input'", empty=True)
    prompt = [{"role": "user", "content": instruction}]
    return {"prompt": prompt, "completion": read_turns(row, "output", "assistant", place)}


def _comparison(row: dict, place: str) -> dict:
    # A prompt repeated as text beside whole conversations adds nothing (UltraFeedback has it).
    if isinstance(row.get("prompt"), str) and isinstance(row.get("chosen"), list):
        return _common_beginning(row, place)
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    parts = {field: read_turns(row, field, role, place) for field, role in roles.items()}
    return _differing(parts, place)


def _common_beginning(row: dict, place: str) -> dict:
    """Divide two conversations where they part, before a message of the assistant."""
    chosen, rejected = (_conversation(row, field, place) for field in ("chosen", "rejected"))
    start = min(shared_length(chosen, rejected), len(chosen) - 1, len(rejected) - 1)
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
    turns = read_turns(row, field, "assistant", place)
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


def shared_length(first: Sequence, second: Sequence) -> int:
    """Return how many elements two sequences have in common at their beginning."""
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


def convert(located: list[tuple[str, dict]], formats: dict) -> list[dict]:
    """Convert rows that are all of one format; which one, the first row tells.

    Args:
        located: rows, each with its place (``files.located_rows``).
        formats: ``SFT_FORMATS`` or ``PREFERENCE_FORMATS``.

    Raises:
        DataError: no known format, two of them, or the first row that is not as it should be.
    """
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
