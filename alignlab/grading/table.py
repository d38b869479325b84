"""Grades as rows, as a CSV file and as JSON."""

import csv
import io
import itertools
import json
import re
from pathlib import Path

from alignlab.grading.notebooks import GradingError
from alignlab.whole import write_whole

COLUMNS = (
    "submission", "chapter", "exercise", "points", "max_points", "status", "message", "digest",
)  # fmt: skip
STATUSES = ("right", "wrong", "could not run")


def plain(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula and no terminal for a command."""
    text = text.encode("utf-8", "replace").decode()
    text = re.sub(r"[^\S\n]|[\x00-\x09\x0b-\x1f\x7f-\x9f]", " ", text)
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") else text


def read(path: Path) -> dict[str, list[dict]]:
    """Return the rows of an earlier CSV, by submission.

    Raises:
        GradingError: a file that is no such CSV.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise GradingError(
                    f"{path}: exists and holds no grades (expected the columns "
                    f"{', '.join(COLUMNS)}); choose another file"
                )
            rows = list(reader)
        for number, row in enumerate(rows, 1):
            if row["status"] not in STATUSES:
                raise GradingError(f"{path}, row {number}: status {row['status']!r}")
            row |= {name: _number(row[name]) for name in ("points", "max_points")}
    except (csv.Error, UnicodeDecodeError, ValueError, TypeError) as error:
        if isinstance(error, GradingError):
            raise
        raise GradingError(f"{path}: cannot be read as grades: {error}") from error
    rows.sort(key=lambda row: row["submission"])
    groups = itertools.groupby(rows, lambda row: row["submission"])
    return {submission: list(group) for submission, group in groups}


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() else value


def write_csv(path: Path, rows: list[dict]) -> None:
    """Write rows; the file is whole at any time."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())


def write_json(path: Path, rows: list[dict], level: str) -> None:
    """Write rows grouped by submission, with totals and the level of isolation."""
    submissions = []
    for name, group in itertools.groupby(rows, lambda row: row["submission"]):
        group = list(group)
        shown = ("exercise", "points", "max_points", "status", "message")
        submissions.append({
            "submission": name, "chapter": group[0]["chapter"],
            "points": sum(row["points"] for row in group),
            "max_points": sum(row["max_points"] for row in group),
            "exercises": [{key: row[key] for key in shown} for row in group if row["exercise"]],
            "refused": next((row["message"] for row in group if not row["exercise"]), None),
        })  # fmt: skip
    text = json.dumps({"isolation": level or None, "submissions": submissions}, indent=1)
    write_whole(path, text + "\n")
