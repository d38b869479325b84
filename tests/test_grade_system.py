"""Grading where the system is against it: no namespaces, an interrupt, a process that is lost."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import submissions
from hostile import CHILDREN, MARK
from submissions import TOKEN_NLL, WRONG, cells, write

from alignlab.grading.batch import grade
from alignlab.grading.sandbox import Limits

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow

# A filter for system calls (seccomp.h, filter.h) that refuses unshare, as many containers do.
WITHOUT_NAMESPACES = """
import ctypes, platform, struct, sys
number = {"x86_64": 272, "aarch64": 97}[platform.machine()]
rules = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("rules", ctypes.c_void_p)]
program = Program(len(rules), ctypes.addressof(code))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(program)) == 0
assert libc.unshare(0x10000000) == -1
from alignlab.cli import main
sys.exit(main(sys.argv[1:]))
"""
# Ends the process that forks the graders; looks twice, so as to end nothing else.
KILLS_ITS_GRADER = """import os
checker = os.getppid()
pid = int(open(f"/proc/{checker}/stat").read().rpartition(")")[2].split()[1])
if b"alignlab.grading.zygote" in open(f"/proc/{pid}/cmdline", "rb").read():
    os.kill(pid, 9)
"""


def _rows(path: Path) -> list[dict]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _left(word: bytes) -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return [line for line in found if word in line]


@pytest.mark.parametrize(("folder", "points"), [("solutions", 1.0), ("exercises", 0.0)])
def test_solutions_get_every_point_and_untouched_exercises_none(tmp_path, folder, points):
    rows = grade(
        [ROOT / folder], tmp_path / "g.csv", solutions=ROOT / "solutions",
        limits=Limits(seconds=120),
    )  # fmt: skip
    assert len(rows) >= 10
    assert [row["message"] for row in rows if row["points"] != points * row["max_points"]] == []
    assert {row["status"] for row in rows} == {"right" if points else "wrong"}


def test_a_solution_beside_the_packages_is_covered(tmp_path):
    packages = tmp_path / "site-packages"  # a folder that every submission sees
    solutions = submissions.reference(packages / "solutions")
    (packages / "notes.txt").write_text("plain to see")
    names = [str(solutions / "02_test.ipynb"), str(packages / "notes.txt")]
    tells = f"raise ValueError([open(path).read() for path in {names}])"
    look = f"def token_nll(logits, targets):\n    {tells}"
    write(packages / "in" / "1.ipynb", cells(look))
    done = subprocess.run(
        [sys.executable, "-m", "alignlab.cli", "grade", packages / "in", "--out", "g.csv",
         "--solutions", solutions, "--json", "g.json"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(packages)}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if '"isolation": "namespaces"' not in (tmp_path / "g.json").read_text():
        pytest.skip("this system has no namespaces for unprivileged use")
    assert "it raised ValueError: ['', 'plain to see']" in _rows(tmp_path / "g.csv")[0]["message"]


def test_without_namespaces_it_says_so_and_goes_on(tmp_path):
    solutions, handed_in = submissions.reference(tmp_path / "solutions"), tmp_path / "in"
    write(handed_in / "1.ipynb", cells(first=CHILDREN.replace(MARK, "27182.818")))
    write(handed_in / "2.ipynb", cells(f"import os\n{TOKEN_NLL}os._exit(0)"))
    write(handed_in / "3.ipynb", cells(f"{TOKEN_NLL}while True: pass"))
    write(handed_in / "4.ipynb", cells(first=KILLS_ITS_GRADER))
    write(handed_in / "5.ipynb", cells(WRONG))
    arguments = ["grade", "in", "--out", "g.csv", "--jobs", "1", "--time-limit", "6"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NAMESPACES, *arguments, "--solutions", solutions],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no namespaces here: submissions have the network" in done.stderr
    rows = _rows(tmp_path / "g.csv")
    assert [row["status"] for row in rows] == [
        "right", "right", "could not run", "right", "could not run", "right",
        "could not run", "could not run", "wrong", "right",
    ]  # fmt: skip
    assert rows[6]["message"] == "ended the process that graded it"
    assert _left(b"27182.818") == []


LOOP = "import subprocess\nwhile True: subprocess.run(['sleep', '{seconds}'])"


def _grading(folder, seconds: str) -> subprocess.Popen:
    """Grade a right submission and one that never ends; return when the second has begun."""
    solutions = submissions.reference(folder / "solutions")
    write(folder / "in" / "1.ipynb", cells())
    write(folder / "in" / "2.ipynb", cells(first=LOOP.format(seconds=seconds)))
    words = ["grade", "in", "--out", "g.csv", "--jobs", "1", "--time-limit", "1000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "alignlab.cli", *words, "--solutions", str(solutions)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # Where the tests run in the background, a shell may have them ignore the interrupt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    _wait_until(lambda: _left(seconds.encode()))
    return process


def test_an_interrupt_keeps_what_is_graded_and_ends_the_rest(tmp_path):
    process = _grading(tmp_path, "16180.339")
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 130
    assert error.splitlines()[-1] == "alignlab grade: interrupted"
    assert [row["status"] for row in _rows(tmp_path / "g.csv")] == ["right", "right"]
    _wait_until(lambda: not _left(b"16180.339"))
    assert sorted(os.listdir(tmp_path)) == ["g.csv", "in", "solutions"]


def test_a_grader_that_is_killed_leaves_nothing_running(tmp_path):
    process = _grading(tmp_path, "14142.135")
    process.kill()
    process.communicate(timeout=300)
    _wait_until(lambda: not _left(b"14142.135"), 30)
    assert [row["status"] for row in _rows(tmp_path / "g.csv")] == ["right", "right"]


def _wait_until(holds, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.2)
