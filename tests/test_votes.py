"""votes.py: no vote that was acknowledged is lost, whoever writes and whatever dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from vote_maker import vote

from alignlab import votes
from alignlab.cli import main
from alignlab.data import preference_dataset
from alignlab.files import DataError
from alignlab.votes import Vote

TESTS = Path(__file__).parent
HOSTILE = "</textarea><script>alert(1)</script>\n\u2028 &#x3c; \ud800 \U0001f600"


@pytest.fixture
def log(tmp_path):
    return tmp_path / "votes.jsonl"


def write(log, *cast):
    for each in cast:
        votes.append(log, each)


# --- the log


def test_a_vote_comes_back_as_it_was(log):
    cast = [
        vote("right", HOSTILE, texts=(HOSTILE, ""), reasons=["too long", HOSTILE], task="explain"),
        vote("tie", blind=False),
    ]
    write(log, *cast)
    found = votes.load(log)
    # All but half a surrogate pair, which no UTF-8 can hold.
    cast[0] = Vote(**json.loads(json.dumps(cast[0].model_dump()).replace("\\ud800", "?")))
    assert found.votes == cast
    assert found.notices == []
    assert log.read_bytes().count(b"\n") == 2


def test_a_line_has_every_field_of_the_design(log):
    write(log, vote("left", "Why?", texts=("one", "two words"), reasons=["clear"]))
    (row,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(row.pop("id")) == 32
    assert row.pop("time").endswith("+00:00")
    assert row == {
        "version": 1,
        "prompt": [{"role": "user", "content": "Why?"}],
        "task": "",
        "sampling": {"temperature": 0.7, "max_new_tokens": 64, "seed": 0},
        "left": {"name": "A", "model": "runs/A", "hash": "sha256:A", "response": "one", "words": 1},
        "right": {
            "name": "B", "model": "runs/B", "hash": "sha256:B", "response": "two words", "words": 2,
        },
        "choice": "left",
        "reasons": ["clear"],
        "seconds": 2.5,
        "blind": True,
        "supersedes": None,
    }  # fmt: skip


def test_a_vote_can_be_withdrawn_or_replaced(log):
    first, second, third = vote("left"), vote("right"), vote("tie")
    better = vote("both_bad", supersedes=third.id)
    write(log, first, second, votes.withdrawal(first), third, better, second)
    assert votes.load(log).votes == [second, better]
    line = votes.withdrawal(first)
    assert (line.choice, line.supersedes, line.prompt) == (None, first.id, first.prompt)
    assert line.id != first.id


@pytest.mark.parametrize("length", [1, 40, None])
def test_a_line_that_was_cut_off_is_skipped_and_left_behind(log, length):
    """Also when the next writer finds no line end: its vote stands in a line of its own."""
    write(log, vote("left"))
    whole = log.read_bytes()
    log.write_bytes(whole + whole[:-1][:length])
    after = vote("right")
    assert len(votes.load(log).votes) == 1
    write(log, after)
    found = votes.load(log)
    # The whole line without its end is the first vote a second time.
    assert found.votes[-1] == after
    assert len(found.votes) == 2
    skipped = [f"{log}, line 2: skipped, a vote that was cut off"]
    assert found.notices == ([] if length is None else skipped)


def test_an_append_that_the_disk_refuses_is_an_error(log, monkeypatch):
    write(log, vote("left"))
    real = os.write
    monkeypatch.setattr(votes.os, "write", lambda file, line: real(file, line[:50]))
    with pytest.raises(OSError, match="disk is full; the vote is not saved"):
        write(log, vote("right"))
    monkeypatch.undo()
    write(log, vote("tie"))
    assert [v.choice for v in votes.load(log).votes] == ["left", "tie"]


def test_a_vote_is_one_write_then_a_sync(log, monkeypatch):
    calls = []
    for name in ("open", "write", "fsync", "close"):
        real = getattr(os, name)
        monkeypatch.setattr(
            votes.os, name, lambda *a, real=real, name=name: (calls.append((name, a)), real(*a))[1]
        )
    write(log, vote("left"))
    monkeypatch.undo()
    assert [name for name, _ in calls] == ["open", "write", "fsync", "close"]
    assert calls[0][1][1] & os.O_APPEND


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choice": "middle"}, "line 2, field 'choice'"),
        ({"left": {"name": "A"}}, "line 2, field 'left.model'"),
        ({"seconds": -1}, "line 2, field 'seconds'"),
        ({"prompt": []}, "line 2, field 'prompt'"),
        ({"mood": "good"}, "line 2, field 'mood'"),
        ({"version": 2}, "line 2: version 2, of a newer alignlab; expected at most 1"),
    ],
)
def test_a_line_that_is_whole_but_no_vote_is_an_error(log, change, message):
    write(log, vote("left"))
    row = json.loads(log.read_text())
    log.write_text(log.read_text() + json.dumps(row | change) + "\n")
    with pytest.raises(DataError) as raised:
        votes.load(log)
    assert message in str(raised.value)
    assert str(log) in str(raised.value)


def test_lines_of_other_files_and_missing_files_are_errors(log):
    with pytest.raises(DataError, match=r"votes.jsonl: cannot be read: No such file"):
        votes.load(log)
    log.write_text("[1, 2]\n")
    with pytest.raises(DataError, match="line 1"):
        votes.load(log)


def test_one_model_is_not_compared_with_itself(log):
    write(log, vote("left", sides=("A", "A")))
    with pytest.raises(DataError, match=r"line 1, field 'right.name': 'A', as on the left"):
        votes.load(log)


def test_a_hundred_thousand_votes_load_in_two_seconds(log):
    """Of processor time, and the best of three: other programs' work is not counted."""
    row = vote("left", "How does it work? " * 8, texts=("so it works " * 15, "no idea " * 20))
    row = row.model_dump()
    with log.open("w") as file:
        for number in range(100_000):
            file.write(json.dumps(row | {"id": f"{number:032x}"}) + "\n")
    seconds = []
    for _ in range(3):
        start = time.process_time()
        found = votes.load(log)
        seconds.append(time.process_time() - start)
        assert len(found.votes) == 100_000
    assert min(seconds) < 2


# --- several writers, and writers that die

WRITER = """
import sys
from vote_maker import vote
from alignlab import votes
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    cast = vote("left", f"{sys.argv[3]} {number}", texts=("long " * 2000, "short"))
    votes.append(sys.argv[1], cast)
    print(cast.prompt[0]["content"], flush=True)
"""
# Writes its fifth vote in two parts, and is killed between them.
DYING = """
import os, signal, sys
from vote_maker import vote
from alignlab import votes
real, count = os.write, 0
def write(file, line):
    global count
    count += 1
    if count == 5:
        real(file, line[: len(line) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return real(file, line)
votes.os.write = write
for number in range(9):
    votes.append(sys.argv[1], vote("left", f"dying {number}"))
"""


def start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=TESTS, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def asked(log):
    return [v.prompt[0]["content"] for v in votes.load(log).votes]


def test_two_writers_at_once_mix_no_lines(log):
    writers = [start(WRITER, log, 100, name) for name in ("first", "second")]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    for writer in writers:
        writer.stdin.close()
        writer.stdout.close()
    assert votes.load(log).notices == []
    expected = [f"{name} {number}" for name in ("first", "second") for number in range(100)]
    assert sorted(asked(log)) == sorted(expected)
    # They did write at the same time.
    order = [name.split()[0] for name in asked(log)]
    assert order not in (sorted(order), sorted(order, reverse=True))


def test_kill_minus_nine_loses_at_most_the_vote_in_flight(log):
    writer = start(WRITER, log, 100_000, "killed")
    assert writer.stdout.readline() == "ready\n"
    writer.stdin.write("go\n")
    writer.stdin.flush()
    acknowledged = [writer.stdout.readline().strip() for _ in range(20)]
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged += writer.stdout.read().splitlines()
    assert writer.wait() == -signal.SIGKILL
    writer.stdin.close()
    writer.stdout.close()
    kept = asked(log)
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) <= len(acknowledged) + 1


def test_a_writer_killed_in_mid_line_costs_that_line(log):
    writer = start(DYING, log)
    assert writer.wait(timeout=120) == -signal.SIGKILL
    writer.stdin.close()
    writer.stdout.close()
    assert asked(log) == [f"dying {number}" for number in range(4)]
    assert votes.load(log).notices == [f"{log}, line 5: skipped, a vote that was cut off"]
    write(log, vote("right", "after"))
    assert asked(log) == [*(f"dying {number}" for number in range(4)), "after"]


# --- export


def test_only_votes_that_prefer_something_become_rows():
    cast = [
        vote("left", "p", texts=("good", "bad")),
        vote("right", "p", texts=("bad", "good")),
        vote("tie"),
        vote("both_bad"),
        vote("both_bad"),
        vote("skip"),
        vote("left", texts=("same", "same")),
        vote("left", texts=("some", " \n")),
    ]
    rows, dropped = votes.preference_rows(cast)
    row = {
        "prompt": [{"role": "user", "content": "p"}],
        "chosen": [{"role": "assistant", "content": "good"}],
        "rejected": [{"role": "assistant", "content": "bad"}],
    }
    assert rows == [row, row]
    assert dropped == {"tie": 1, "both_bad": 2, "skip": 1, "identical": 1, "empty": 1}


def test_the_export_is_what_dpo_reads(log, tmp_path):
    system = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Why?"}]
    cast = [vote("left", f"prompt {n}", texts=("yes", "no")) for n in range(30)]
    cast.append(cast[0].model_copy(update={"prompt": system}))
    out = tmp_path / "preferences.jsonl"
    counts = votes.export(cast, out)
    assert counts["train"] == 31
    assert counts["held_out"] == 0
    rows, _ = votes.preference_rows(cast)
    assert preference_dataset(out).to_list() == rows
    assert [path.name for path in tmp_path.iterdir()] == ["preferences.jsonl"]


def test_a_prompt_is_on_one_side_of_the_split(tmp_path):
    cast = [vote("left", f"prompt {n % 100}") for n in range(300)]
    rows, _ = votes.preference_rows(cast)
    train, held_out = votes.split_by_prompt(rows, 0.3)
    sides = [{row["prompt"][0]["content"] for row in part} for part in (train, held_out)]
    assert not sides[0] & sides[1]
    assert len(train) + len(held_out) == 300
    assert 15 <= len(sides[1]) <= 45
    # A prompt stays on its side when others come.
    again = votes.split_by_prompt(rows[:50], 0.3)
    assert {row["prompt"][0]["content"] for row in again[1]} <= sides[1]
    assert votes.split_by_prompt(rows, 0) == (rows, [])
    assert votes.split_by_prompt(rows, 1) == ([], rows)
    with pytest.raises(ValueError, match="share from 0 to 1"):
        votes.split_by_prompt(rows, 3)


# --- the command


def test_the_command_counts_and_exports(log, tmp_path, capsys):
    cast = [vote("left", f"prompt {n}") for n in range(9)] + [vote("tie", "p")]
    write(log, *cast)
    log.write_bytes(log.read_bytes() + b'{"version": 1, "id"')
    out = tmp_path / "out.jsonl"
    assert main(["votes", str(log), "--export", str(out), "--held-out", "0.4"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("A against B: 9 wins, 1 ties, 0 losses")
    assert "line 11: skipped, a vote that was cut off" in printed.err
    held_out = tmp_path / "out.held_out.jsonl"
    parts = [len(path.read_text().splitlines()) for path in (out, held_out)]
    assert sum(parts) == 9
    assert f"train {parts[0]}, held_out {parts[1]}, tie 1" in printed.out
    assert main(["votes", str(log), "--export", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pairs"][0]["wins"] == found["export"]["train"] == 9
    assert found["pairs"][0]["win_rate"]["value"] == 0.95


def test_the_command_ends_in_one_line_on_a_bad_file(log, tmp_path, capsys):
    log.write_text("{}\n")
    out = tmp_path / "out.jsonl"
    assert main(["votes", str(log), "--export", str(out)]) == 1
    error = capsys.readouterr().err
    assert "line 1" in error
    assert "Traceback" not in error
    assert not out.exists()
