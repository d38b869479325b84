"""Submissions that break, hang, cheat or attack: none stops the batch or earns what it should not.

All are graded in one batch, once; each test looks at one of them.
"""

import json
import socket
from pathlib import Path

import pytest
import submissions
from hostile import CASES, MARK

import alignlab
from alignlab.grading import sandbox
from alignlab.grading.batch import grade

pytestmark = pytest.mark.slow
PACKAGE = Path(alignlab.__file__)

# An answer that tells what its process sees, as the text of an error.
REPORT = """import json, os, socket
def attempt(action):
    try: return repr(action())
    except Exception as error: return type(error).__name__
def token_nll(logits, targets):
    raise ValueError(json.dumps({
        "root": sorted(os.listdir("/")), "processes": attempt(lambda: os.listdir("/proc")),
        "network": attempt(lambda: socket.create_connection(("127.0.0.1", PORT), 5)),
        "package": attempt(lambda: open("PACKAGE", "a").close()),
        "settings": attempt(lambda: open("/proc/sys/kernel/core_pattern", "w")),
        "beside": attempt(lambda: os.listdir("FOLDER")), "token": os.environ.get("HF_TOKEN"),
        "unshare": attempt(lambda: __import__("ctypes").CDLL(None).unshare(0x10000000)),
        "scratch": attempt(lambda: open(os.path.expanduser("~/written_by_it"), "w").write("x")),
    }))
"""
BROKEN_FILES = {
    "broken.ipynb": '{"cells": [{"cell_type": "code", "source": "x = 1"',
    "list.ipynb": "[1, 2, 3]",
    "bytes.ipynb": b"\xff\xfe\x00",
    "empty.ipynb": "",
    "no_cells.ipynb": '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
    "odd_cells.ipynb": '{"cells": [7, null], "nbformat": 4}',
    "nested.ipynb": "[" * 100_000,
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Grade everything; return the rows of each file, and the JSON."""
    folder = tmp_path_factory.mktemp("hostile")
    solutions, handed_in = submissions.reference(folder / "solutions"), folder / "handed_in"
    for name, (notebook, *_) in CASES.items():
        path = submissions.write(handed_in / f"{name}.ipynb", notebook)
        text = path.read_text().replace("REFERENCE", repr(str(solutions / "02_test.ipynb")))
        path.write_text(text.replace("ROOT", repr(str(PACKAGE.parents[1]))))
    for name, content in BROKEN_FILES.items():
        data = content if isinstance(content, bytes) else content.encode()
        (handed_in / name).write_bytes(data)
    (handed_in / "link.ipynb").symlink_to(solutions / "02_test.ipynb")
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", "secret")
        report = REPORT.replace("PORT", str(server.getsockname()[1]))
        report = report.replace("PACKAGE", str(PACKAGE)).replace("FOLDER", str(handed_in))
        submissions.write(handed_in / "report.ipynb", submissions.cells(report))
        rows = grade(
            [handed_in], folder / "grades.csv", json_file=folder / "grades.json",
            solutions=solutions, jobs=2, limits=sandbox.Limits(seconds=6, memory=512 << 20),
        )  # fmt: skip
    found = {}
    for row in rows:
        found.setdefault(Path(row["submission"]).stem, []).append(row)
    return found, json.loads((folder / "grades.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_each_gets_what_it_should(graded, name):
    rows = {row["exercise"]: row for row in graded[0][name]}
    assert list(rows) == ["token_nll_check", "perplexity_check"]
    got = [row["status"] for row in rows.values()]
    assert got == list(CASES[name][1:]), [row["message"] for row in rows.values()]
    assert [row["max_points"] for row in rows.values()] == [3, 2]
    points = [most if status == "right" else 0 for status, most in zip(got, (3, 2))]
    assert [row["points"] for row in rows.values()] == points


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stub", "it is not written yet"),
        ("wrong", "expected"),
        ("syntax", "stopped with SyntaxError"),
        ("detached", "the graph is cut"),
        ("wrong_gradient", "its gradient in logits is not"),
        ("changes_a_tensor", "changed its argument targets in place"),
        ("deleted_answer", "the answer cell 'token_nll' is missing"),
        ("loop_in_answer", "took more than 6 s of processor time"),
        ("loop_in_cell", "the answer cell 'token_nll' took more than 6 s of processor time"),
        ("sleeps", "slept or waited for more than 30 s"),
        ("trickles", "slept or waited for more than 30 s"),
        ("os_exit_in_answer", "ended its process"),
        ("sys_exit_in_answer", "left with SystemExit"),
        ("sys_exit_in_cell", "stopped with SystemExit"),
        ("memory_5_gb", "ran out of memory; the limit is 0.5 GiB"),
        ("memory_together", "took more than 0.5 GiB of memory"),
        ("returns_50_mb", "which is too much"),
        ("equal_to_everything", "it returned Anything"),
        ("raises_its_own", "it raised Quit:  (line 3: raise Quit)"),
        ("raises_stop_iteration", "it raised StopIteration"),
    ],
)
def test_the_message_says_why(graded, name, message):
    assert message in graded[0][name][0]["message"]


def test_a_changed_list_is_noticed(graded):
    assert "changed its argument total_losses" in graded[0]["changes_a_list"][1]["message"]


@pytest.mark.parametrize("name", [*BROKEN_FILES, "link.ipynb"])
def test_a_file_that_is_no_notebook_is_refused(graded, name):
    (row,) = graded[0][Path(name).stem]
    assert (row["status"], row["points"], row["exercise"]) == ("could not run", 0, "")
    assert row["message"]


def test_nothing_is_left_running(graded):
    left = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert left
    assert [line for line in left if MARK.encode() in line] == []
    children = Path("/proc/self/task").glob("*/children")
    pids = [pid for task in children for pid in task.read_text().split()]
    assert [p for p in pids if b"zygote" in Path(f"/proc/{p}/cmdline").read_bytes()] == []


def test_what_a_submission_sees(graded):
    found, table = graded
    if table["isolation"] != "namespaces":
        pytest.skip("this system has no namespaces for unprivileged use")
    text = found["report"][0]["message"]
    seen, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    assert "scratch" in seen
    assert seen["scratch"] == "1"
    assert seen["network"] in ("ConnectionRefusedError", "OSError")
    assert seen["package"] == seen["settings"] == "OSError"  # read-only
    assert seen["beside"] == "FileNotFoundError"
    assert seen["token"] is None
    assert seen["unshare"] == "-1"
    assert [p for p in eval(seen["processes"]) if p.isdigit()] in (["1"], [])
