"""The vote log: one JSON line a vote, only ever appended to, and its export as preference data.

Two panels may write one log at once, and a process killed in mid-vote costs at most that vote.
"""

import contextlib
import gc
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import Field, ValidationError

from alignlab.files import DataError
from alignlab.schema import Part
from alignlab.whole import write_whole

VERSION = 1
Choice = Literal["left", "right", "tie", "both_bad", "skip"]
DROPPED = ("tie", "both_bad", "skip", "identical", "empty")


class Side(Part):
    """One of the two responses that were shown, and the model that gave it.

    ``name`` is what people call the model, ``model`` where it came from, ``hash`` a digest of its
    weights: the same name may stand for other weights tomorrow.
    """

    name: str
    model: str
    hash: str
    response: str
    words: Annotated[int, Field(ge=0)]


class Vote(Part):
    """One judgement of one person about two responses to one prompt.

    Attributes:
        time: when, ISO 8601 in UTC.
        prompt: the conversation up to the response, as messages.
        sampling: how both responses were sampled, by the names of ``generate``'s arguments.
        left, right: what was shown on which side.
        choice: the better side, ``"tie"``, ``"both_bad"`` or ``"skip"``; None only withdraws the
            vote that is named in ``supersedes``.
        reasons: tags that the voter chose.
        seconds: from the moment both responses were there to the vote.
        blind: whether the models' names were hidden until the vote.
        supersedes: the id of an earlier vote which this one replaces.
    """

    version: Literal[1] = VERSION
    id: Annotated[str, Field(min_length=1)]
    time: str
    prompt: Annotated[list[dict[str, str]], Field(min_length=1)]
    task: str = ""
    sampling: dict[str, float | str | bool | None]
    left: Side
    right: Side
    choice: Choice | None
    reasons: list[str] = []
    seconds: Annotated[float, Field(ge=0)]
    blind: bool
    supersedes: str | None = None

    @property
    def chosen(self) -> Side | None:
        """Return the better side, or None where neither was better."""
        return {"left": self.left, "right": self.right}.get(self.choice)

    @property
    def rejected(self) -> Side | None:
        """Return the worse side, or None where neither was worse."""
        return {"left": self.right, "right": self.left}.get(self.choice)


def cast(**fields) -> Vote:
    """Return a new vote with an id of its own and the present time; see ``Vote`` for the fields."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Vote(id=uuid4().hex, time=now, **fields)


def withdrawal(vote: Vote) -> Vote:
    """Return the line that takes a vote back."""
    changed = {"choice": None, "reasons": [], "seconds": 0.0, "supersedes": vote.id}
    return cast(**vote.model_dump(exclude={"id", "time", "version", *changed}), **changed)


def append(path: str | Path, vote: Vote) -> None:
    """Add a vote to a log, and return when it is on the disk.

    The file is opened for this vote alone and written in one piece, so that writers do not mix.

    Raises:
        OSError: not all of it could be written (a full disk); what was is skipped by ``load``.
    """
    text = json.dumps(vote.model_dump(), ensure_ascii=False)
    # Half a surrogate pair, which JSON can hold and UTF-8 cannot, must not cost the vote.
    line = text.encode(errors="replace") + b"\n"
    binary = getattr(os, "O_BINARY", 0)  # Windows would write two characters for a line's end
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | binary, 0o666)
    try:
        if os.lseek(descriptor, 0, os.SEEK_END):
            os.lseek(descriptor, -1, os.SEEK_END)
            if os.read(descriptor, 1) != b"\n":
                line = b"\n" + line  # a writer died in mid-line: leave its line behind
        if os.write(descriptor, line) != len(line):
            raise OSError(f"{path}: the disk is full; the vote is not saved")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class VoteLog:
    """The votes of a log that stand, in the order in which they were cast, and what was skipped."""

    votes: list[Vote]
    notices: list[str]


def load(path: str | Path) -> VoteLog:
    """Read a log.

    Votes that were withdrawn or replaced are left out, and so is a line that stands there twice. A
    line that was cut off, because its writer was killed, is skipped with a notice.

    Raises:
        DataError: no such file, or a line that is whole but no vote (names line and field).
    """
    path = Path(path)
    found: dict[str, Vote] = {}
    notices = []
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    with file, _no_collection():
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            if vote := _parse(line, path, number):
                found.setdefault(vote.id, vote)
            else:
                notices.append(f"{path}, line {number}: skipped, a vote that was cut off")
        replaced = {vote.supersedes for vote in found.values()}
        standing = [v for v in found.values() if v.id not in replaced and v.choice is not None]
    return VoteLog(standing, notices)


@contextlib.contextmanager
def _no_collection():
    """Hold the garbage collector, which takes half the time where many objects come to stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parse(line: bytes, path: Path, number: int) -> Vote | None:
    """Return the vote of a line, or None where it was cut off."""
    try:
        vote = Vote.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            return None
        content = json.loads(line)
        version = content.get("version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > VERSION:
            problem = f": version {version}, of a newer alignlab; expected at most {VERSION}"
        else:
            field = ".".join(map(str, first["loc"]))
            problem = f", field {field!r}: {first['msg']}; expected a vote (votes.Vote)"
        raise DataError(f"{path}, line {number}{problem}") from None
    if vote.left.name == vote.right.name:
        same = f"{vote.right.name!r}, as on the left"
        raise DataError(f"{path}, line {number}, field 'right.name': {same}; expected two models")
    return vote


def preference_rows(votes: Iterable[Vote]) -> tuple[list[dict], dict[str, int]]:
    """Turn votes into comparisons in TRL's conversational preference format.

    Returns:
        Rows with ``prompt``, ``chosen`` and ``rejected``, and how many votes were dropped by
        reason (``DROPPED``): no side was better, both texts are identical, or one is empty, which
        no trainer takes.
    """
    rows, dropped = [], Counter(dict.fromkeys(DROPPED, 0))
    for vote in votes:
        texts = vote.left.response, vote.right.response
        if vote.chosen is None:
            dropped[vote.choice] += 1
        elif texts[0] == texts[1]:
            dropped["identical"] += 1
        elif not all(text.strip() for text in texts):
            dropped["empty"] += 1
        else:
            rows.append(
                {
                    "prompt": vote.prompt,
                    "chosen": [{"role": "assistant", "content": vote.chosen.response}],
                    "rejected": [{"role": "assistant", "content": vote.rejected.response}],
                }
            )
    return rows, dict(dropped)


def split_by_prompt(rows: Sequence[dict], held_out: float) -> tuple[list[dict], list[dict]]:
    """Divide rows into those to train on and those held out; a prompt is on one side only.

    Args:
        held_out: share of the prompts, from 0 to 1. Which ones is decided by the prompts
            themselves, so a prompt stays on its side when votes are added.

    Raises:
        ValueError: a share outside 0 to 1.
    """
    if not 0 <= held_out <= 1:
        raise ValueError(f"held_out is {held_out}; expected a share from 0 to 1")
    sides: tuple[list[dict], list[dict]] = [], []
    for row in rows:
        digest = sha256(json.dumps(row["prompt"], sort_keys=True).encode()).digest()
        sides[int.from_bytes(digest[:8]) < held_out * 2**64].append(row)
    return sides


def export(votes: Iterable[Vote], path: str | Path, held_out: float = 0.0) -> dict[str, int]:
    """Write votes as preference data that ``data.preference_dataset`` and TRL read.

    Args:
        path: the JSON Lines file; with ``held_out`` above 0 the rows that are held out go to a
            file beside it, ``NAME.held_out.jsonl``.

    Returns:
        How many rows were written (``train``, ``held_out``) and how many votes dropped, by reason.
    """
    path = Path(path)
    rows, dropped = preference_rows(votes)
    train, rest = split_by_prompt(rows, held_out)
    _write_rows(path, train)
    if held_out:
        _write_rows(path.with_name(f"{path.stem}.held_out{path.suffix}"), rest)
    return {"train": len(train), "held_out": len(rest), **dropped}


def _write_rows(path: Path, rows: Iterable[dict]) -> None:
    write_whole(path, "".join(json.dumps(row) + "\n" for row in rows))
