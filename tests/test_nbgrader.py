"""nbgrader itself on the files: it makes the same exercises, grades them and exports the points.

Runs in an environment of its own that sees the packages of this one, since nbgrader is not among
the project's requirements. Skipped where it cannot be installed.
"""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import environments
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
ASSIGNMENT = "02_mle_objective"
SOLUTION = ROOT / "solutions" / f"{ASSIGNMENT}.ipynb"
EXERCISES = ROOT / "exercises" / f"{ASSIGNMENT}.ipynb"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The interpreter of an environment with nbgrader."""
    folder = tmp_path_factory.mktemp("nbgrader") / "venv"
    return environments.with_packages(folder, "nbgrader>=0.9.5,<0.10")


@pytest.fixture(scope="module")
def course(python, tmp_path_factory) -> Path:
    """A course in which three students handed in: all right, one wrong, nothing done."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'alignment'\n"
        "c.ExecutePreprocessor.timeout = 600\n"
    )
    source = folder / "source" / "02"
    source.mkdir(parents=True)
    shutil.copy(SOLUTION, source)
    run(python, folder, "generate_assignment", "02", "--create")
    released = folder / "release" / "02" / SOLUTION.name
    right = nbformat.read(SOLUTION, as_version=4)
    for student in ("ann", "ben", "eve"):
        target = folder / "submitted" / student / "02" / SOLUTION.name
        target.parent.mkdir(parents=True)
        notebook = nbformat.read(released, as_version=4)
        for cell, solved in zip(notebook.cells, right.cells):
            if student != "eve" and cell.metadata.get("nbgrader", {}).get("solution"):
                cell.source = solved.source
            if student == "ben" and cell.id == "02-token-mean-answer":
                cell.source = "def token_mean(losses, mask):\n    return losses.mean()"
        nbformat.write(notebook, target)
    run(python, folder, "autograde", "02", "--create")
    run(python, folder, "export", "--to", "grades.csv")
    return folder


def run(python: Path, folder: Path, *arguments: str) -> None:
    environment = os.environ | {
        "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        [python, "-m", "nbgrader", *arguments], cwd=folder, env=environment,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def points() -> dict[str, float]:
    cells = nbformat.read(SOLUTION, as_version=4).cells
    graded = [cell.metadata.get("nbgrader", {}) for cell in cells]
    return {row["grade_id"]: row["points"] for row in graded if row.get("grade")}


def test_nbgrader_makes_the_same_exercises(course):
    theirs = nbformat.read(course / "release" / "02" / SOLUTION.name, as_version=4)
    ours = nbformat.read(EXERCISES, as_version=4)
    assert [c.source for c in theirs.cells] == [c.source for c in ours.cells]
    assert [c.id for c in theirs.cells] == [c.id for c in ours.cells]
    for cell, twin in zip(theirs.cells, ours.cells):
        graded = dict(cell.metadata.get("nbgrader", {}))
        added = {graded.pop(key, None) for key in ("cell_type", "checksum")}
        assert len(added) == 2 or not graded
        assert graded == twin.metadata.get("nbgrader", {})


def test_nbgrader_gives_the_points_and_exports_them(course):
    with open(course / "grades.csv", newline="") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    every = sum(points().values())
    assert {float(row["max_score"]) for row in rows.values()} == {every}
    scores = {student: float(row["score"]) for student, row in rows.items()}
    # Nothing of Ben's other answers uses his wrong mean.
    assert scores == {"ann": every, "ben": every - points()["02-token-mean"], "eve": 0}
