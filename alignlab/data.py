"""Data for training: rows of any usual format, checked, in TRL's conversational columns.

A source is a local file (JSON, JSON Lines, CSV or Parquet, gzipped too), the id of a Hub data set,
or ``world:TASK``. Whatever the format, out come ``prompt`` and ``completion``, or ``prompt``,
``chosen`` and ``rejected``, each a list of ``{"role", "content"}``. Nothing is repaired and no row
is dropped: the first bad one raises a DataError naming file, line, field and what was expected.
"""

import csv
import gzip
import io
import json
import re
import zlib
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path

import datasets
import pyarrow
from pyarrow import parquet

from alignlab.world import SPLITS, World
from alignlab.world.instructions import FAMILIES
from alignlab.world.preferences import draw_pairs
from alignlab.world.recipes import compared, labelled, preference_rows, sft_rows
from alignlab.world.tasks import TASKS, draw_examples

SUFFIXES = (".json", ".jsonl", ".csv", ".parquet")
HUB_ID = r"\w[\w.-]*(/[\w.-]+)?"
ROLES = ("system", "user", "assistant", "tool")
SPEAKERS = {"Human": "user", "Assistant": "assistant"}
WORLD_EXAMPLES = 500  # rows drawn for one task of the world; its mixtures have sizes of their own
WORLD_SFT = ("sft", *TASKS, *FAMILIES)
WORLD_PREFERENCES = ("preferences", "style", "abstention")


class DataError(ValueError):
    """Data that cannot be used: names the file, the row, the field and what was expected."""


def read_rows(source: str | Path) -> list[dict]:
    """Return the rows of a local file, as they stand there.

    Args:
        source: a ``.json``, ``.jsonl``, ``.csv`` or ``.parquet`` file; ``.gz`` may follow.

    Raises:
        DataError: no such file, an empty one, another kind, broken at some line, or not UTF-8.
    """
    return [row for _, row in _file_rows(Path(source))]


def read_prompts(source: str | Path) -> list[str | list[dict]]:
    """Return prompts: the field ``prompt`` (text or messages) of every row, or lines of plain text.

    Args:
        source: a file as for ``read_rows``; in any other every line that is not blank is a prompt.

    Raises:
        DataError: as ``read_rows``; also a row without a prompt.
    """
    prompts = []
    for place, row in _file_rows(Path(source), otherwise=_line_rows):
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
    path, source = Path(source), str(source)
    if source.startswith("world:"):
        rows = _world_rows(source.removeprefix("world:"), seed, split, world_names)
    elif re.fullmatch(HUB_ID, source) and not path.exists() and _suffix(path) not in SUFFIXES:
        rows = _convert(_hub_rows(source, split), formats)
    elif split != "train":
        raise DataError(f"{source}: a file is one split, 'train'; it has no split {split!r}")
    else:
        rows = _convert(_file_rows(path), formats)
    dataset = datasets.Dataset.from_list(rows)
    dataset.info.description = source  # for the messages of check_lengths
    return dataset


def _hub_rows(source: str, split: str) -> list[tuple[str, dict]]:
    try:
        found = datasets.load_dataset(source, split=split)
    except Exception as error:  # Hub, network and builder each raise errors of their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{source}: no file here, and as a Hub data set, split {split!r}: {reason}"
        ) from error
    if not len(found):
        raise DataError(f"{source}, split {split!r}: empty; expected at least one row")
    return [(f"{source}, row {number}", row) for number, row in enumerate(found, 1)]


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


def _suffix(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def _file_rows(path: Path, otherwise=None) -> list[tuple[str, dict]]:
    """Return each row with the place to name in a message; ``otherwise`` parses other suffixes."""
    parse = dict(zip(SUFFIXES, (_json_rows, _json_rows, _csv_rows, _parquet_rows)))
    parse = parse.get(_suffix(path), otherwise)
    if parse is None:
        raise DataError(f"{path}: expected a file named {', '.join(SUFFIXES)}, with .gz or without")
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        located = [(f"{path}, {place}", row) for place, row in parse(data)] if data.strip() else []
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        line, byte = error.object.count(b"\n", 0, error.start) + 1, error.object[error.start]
        raise DataError(
            f"{path}, line {line}: byte 0x{byte:02x} is not UTF-8; expected a file in UTF-8"
        ) from error
    except (OSError, EOFError, zlib.error, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    except DataError as error:
        raise DataError(f"{path}, {error}") from error
    if not located:
        raise DataError(f"{path}: empty; expected at least one row")
    for place, row in located:
        if not isinstance(row, dict):
            raise DataError(f"{place}: {_shown(row)}; expected an object with named fields")
    return located


def _parquet_rows(data: bytes):
    rows = parquet.read_table(io.BytesIO(data)).to_pylist()
    return ((f"row {number}", row) for number, row in enumerate(rows, 1))


def _csv_rows(data: bytes):
    reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
    try:
        for row in reader:
            if None in row:
                raise DataError(f"line {reader.line_num}: more cells than the header has names")
            breaks = sum(cell.count("\n") for cell in row.values() if cell)
            yield f"line {reader.line_num - breaks}", row  # the line on which the record begins
    except csv.Error as error:
        raise DataError(f"line {reader.line_num}: broken CSV: {error}") from error


def _line_rows(data: bytes):
    lines = enumerate(data.decode("utf-8-sig").split("\n"), 1)
    return ((f"line {n}", {"prompt": line.rstrip("\r")}) for n, line in lines if line.strip())


def _json_rows(data: bytes):
    text = data.decode("utf-8-sig")
    array = text.lstrip().startswith("[")
    # Not splitlines(): it also splits at U+2028, which may stand inside a JSON string.
    for number, part in enumerate([text] if array else text.split("\n"), 1):
        try:
            value = json.loads(part) if part.strip() else None
        except json.JSONDecodeError as error:
            place = f"line {number + error.lineno - 1}, column {error.colno}"
            raise DataError(
                f"{place}: broken JSON ({error.msg}); expected an object a line, or one list of all"
            ) from error
        if array:
            yield from ((f"row {n}", row) for n, row in enumerate(value, 1))
        elif part.strip():
            yield f"line {number}", value


def _shown(value) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)[:60]


def _text(value, where: str, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: {_shown(value)}; expected text")
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
            raise DataError(f"{here}: {_shown(message)}; expected a role of {', '.join(ROLES)}")
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
            f"{place}, field {field!r}: {_shown(row[field])}; expected a prompt field, or a "
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
