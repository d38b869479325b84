"""Rows as they stand in a local file or a Hub data set, each with the place to name in a message.

A file is JSON, JSON Lines, CSV or Parquet, gzipped or not, in UTF-8. What a row must hold is not
known here (data.py), but every error says where it is: file and line, or row where lines mean
nothing.
"""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import datasets
import pyarrow
from pyarrow import parquet

SUFFIXES = (".json", ".jsonl", ".csv", ".parquet")
HUB_ID = r"\w[\w.-]*(/[\w.-]+)?"


class DataError(ValueError):
    """Data that cannot be used: names the file, the row, the field and what was expected."""


def read_rows(source: str | Path) -> list[dict]:
    """Return the rows of a local file, as they stand there.

    Args:
        source: a ``.json``, ``.jsonl``, ``.csv`` or ``.parquet`` file; ``.gz`` may follow.

    Raises:
        DataError: no such file, an empty one, another kind, broken at some line, or not UTF-8.
    """
    return [row for _, row in file_rows(Path(source))]


def located_rows(source: str | Path, split: str = "train") -> list[tuple[str, dict]]:
    """Return the rows of a file or a Hub data set, each with its place (``"rows.csv, line 2"``).

    Args:
        source: a file as for ``read_rows``, or a Hub id.
        split: of the Hub data set; a file is one split, ``train``.

    Raises:
        DataError: as ``read_rows``; also a Hub data set or a split that cannot be had.
    """
    path, source = Path(source), str(source)
    if re.fullmatch(HUB_ID, source) and not path.exists() and _suffix(path) not in SUFFIXES:
        return _hub_rows(source, split)
    if split != "train":
        raise DataError(f"{source}: a file is one split, 'train'; it has no split {split!r}")
    return file_rows(path)


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


def _suffix(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def file_rows(
    path: Path, otherwise: Callable[[bytes], Iterable[tuple[str, dict]]] | None = None
) -> list[tuple[str, dict]]:
    """Return the rows of a file with their places.

    Args:
        otherwise: reads a file of any other suffix (``line_rows``); without it that is an error.

    Raises:
        DataError: as ``read_rows``.
    """
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
            raise DataError(f"{place}: {shown(row)}; expected an object with named fields")
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


def line_rows(data: bytes) -> Iterable[tuple[str, dict]]:
    """Read every line that is not blank as a row whose only field is ``prompt``."""
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


def shown(value) -> str:
    """Return the beginning of a value, for a message."""
    return json.dumps(value, default=str, ensure_ascii=False)[:60]
