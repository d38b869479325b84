"""Grading a batch: which notebook is graded by which reference, the table, resuming, errors."""

import csv
import json
import os
from pathlib import Path

import pytest
import submissions
from submissions import PERPLEXITY, STUB, TOKEN_NLL, WRONG, cells, check, code, write

from alignlab.cli import main
from alignlab.grading import notebooks, table
from alignlab.grading.batch import find, grade
from alignlab.grading.notebooks import GradingError
from alignlab.grading.worker import Worker


@pytest.fixture
def solutions(tmp_path) -> Path:
    return submissions.reference(tmp_path / "solutions")


@pytest.fixture
def fake_checks(monkeypatch) -> list[dict]:
    """Give every exercise its points without running it; return the jobs that were to be run."""
    jobs = []

    def start(self):
        return "namespaces"

    def graded(self, job):
        jobs.append(job)
        return [
            {"exercise": c["id"], "points": c["points"], "max_points": c["points"],
             "status": "right", "message": "=1+1"} for c in job["checks"]
        ]  # fmt: skip

    monkeypatch.setattr(Worker, "start", start)
    monkeypatch.setattr(Worker, "grade", graded)
    return jobs


def _read(path: Path) -> list[dict]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_the_command_grades_a_folder(tmp_path, solutions, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in" / "ann" / "02_test.ipynb", cells())
    write(tmp_path / "in" / "bob" / "02_test.ipynb", cells(STUB))
    write(tmp_path / "in" / "bob" / "02_test (1).ipynb", cells(perplexity="perplexity = 1 / 0"))
    arguments = ["in", "--out", "g.csv", "--json", "g.json", "--jobs", "1", "--time-limit", "60"]
    assert main(["grade", *arguments]) == 0
    out = capsys.readouterr().out
    assert out == "wrote g.csv: 3 notebooks; 4 right, 1 could not run, 1 wrong\n"
    rows = _read(tmp_path / "g.csv")
    assert [tuple(row.values())[:6] for row in rows] == [
        ("in/ann/02_test.ipynb", "02_test", "token_nll_check", "3", "3", "right"),
        ("in/ann/02_test.ipynb", "02_test", "perplexity_check", "2", "2", "right"),
        ("in/bob/02_test (1).ipynb", "02_test", "token_nll_check", "3", "3", "right"),
        ("in/bob/02_test (1).ipynb", "02_test", "perplexity_check", "0", "2", "could not run"),
        ("in/bob/02_test.ipynb", "02_test", "token_nll_check", "0", "3", "wrong"),
        ("in/bob/02_test.ipynb", "02_test", "perplexity_check", "2", "2", "right"),
    ]
    assert "right on all" in rows[0]["message"]
    assert "division by zero (line 1: perplexity = 1 / 0)" in rows[3]["message"]
    found = json.loads((tmp_path / "g.json").read_text())
    assert found["isolation"] in ("namespaces", "user", "process")
    assert [s["points"] for s in found["submissions"]] == [5, 3, 2]
    assert [s["max_points"] for s in found["submissions"]] == [5, 5, 5]
    assert sorted(os.listdir(tmp_path)) == ["g.csv", "g.json", "in", "solutions"]


def test_a_renamed_notebook_is_found_by_its_cells(tmp_path, solutions, fake_checks):
    other = [code("def f(): pass", "f", solution=True),
             code("assert f() == 1", "f_check", grade=True, points=1)]  # fmt: skip
    write(solutions / "03_other.ipynb", other)
    write(tmp_path / "in" / "03_other.ipynb", cells())
    write(tmp_path / "in" / "homework final.ipynb", other)
    rows = grade([tmp_path / "in"], tmp_path / "g.csv", solutions=solutions)
    assert [(Path(r["submission"]).name, r["chapter"]) for r in rows] == [
        ("03_other.ipynb", "02_test"), ("03_other.ipynb", "02_test"),
        ("homework final.ipynb", "03_other"),
    ]  # fmt: skip


def test_what_is_graded_and_unchanged_is_left_out(tmp_path, solutions, fake_checks):
    paths = [write(tmp_path / "in" / f"{n}.ipynb", cells(f"{TOKEN_NLL}# {n}")) for n in range(3)]
    out = tmp_path / "g.csv"
    first = grade(paths, out, solutions=solutions)
    assert len(fake_checks) == 3
    assert grade(paths, out, solutions=solutions) == first
    assert len(fake_checks) == 3
    write(paths[1], cells(WRONG))
    grade(paths, out, solutions=solutions)
    assert [job["cells"][1]["source"] for job in fake_checks[3:]] == [WRONG]
    grade(paths[:1], out, solutions=solutions, overwrite=True)
    assert len(fake_checks) == 5
    assert len(_read(out)) == 6, "rows of notebooks that were not named are kept"
    write(solutions / "02_test.ipynb", [*cells()[:3], check("token_nll", 4), *cells()[4:]])
    grade(paths, out, solutions=solutions)
    assert len(fake_checks) == 8, "another reference grades everything again"


def test_a_batch_that_was_interrupted_goes_on(tmp_path, solutions, fake_checks, monkeypatch):
    paths = [write(tmp_path / "in" / f"{n}.ipynb", cells(f"{TOKEN_NLL}# {n}")) for n in range(4)]
    out, graded = tmp_path / "g.csv", Worker.grade

    def interrupted(self, job):
        if len(fake_checks) == 2:
            raise KeyboardInterrupt
        return graded(self, job)

    monkeypatch.setattr(Worker, "grade", interrupted)
    with pytest.raises(KeyboardInterrupt):
        grade(paths, out, solutions=solutions)
    assert len(_read(out)) in (2, 4)  # the second may have ended too late to be written
    monkeypatch.setattr(Worker, "grade", graded)
    grade(paths, out, solutions=solutions)
    assert len(_read(out)) == 8
    assert {job["cells"][1]["source"] for job in fake_checks[2:]} >= {
        f"{TOKEN_NLL}# {n}" for n in (2, 3)
    }


def test_only_the_reference_decides_what_is_checked(tmp_path, solutions, fake_checks):
    given = code("pass", "setup", locked=True)
    write(tmp_path / "a.ipynb", [given, code("mine"), *cells(STUB)[1:3], check("token_nll", 300)])
    grade([tmp_path / "a.ipynb"], tmp_path / "g.csv", solutions=solutions)
    (job,) = fake_checks
    assert [cell["source"] for cell in job["cells"]] == [submissions.SETUP, "mine", STUB]
    assert [(c["id"], c["points"]) for c in job["checks"]] == [
        ("token_nll_check", 3), ("perplexity_check", 2)
    ]  # fmt: skip
    assert job["checks"][0]["names"] == {"token_nll": "token_nll"}
    assert job["imports"] == "import torch\nfrom alignlab import checks"
    assert PERPLEXITY not in json.dumps(job), "the reference's answers go nowhere"


def test_a_cell_of_the_table_is_no_formula(tmp_path, solutions, fake_checks):
    write(tmp_path / "a.ipynb", cells())
    rows = grade([tmp_path / "a.ipynb"], tmp_path / "g.csv", solutions=solutions)
    assert {row["message"] for row in rows} == {"'=1+1"}
    assert table.plain("a\tb\x1b[31m\ud800") == "a b [31m?"


@pytest.mark.parametrize(
    ("notebook", "message"),
    [
        ([code("x = 1")], "no check"),
        ([*cells(), code("y", "setup")], "two cells have the grade_id 'setup'"),
        ([code("assert x", "a", grade=True, points=1)], "'x' is bound by no answer"),
        ([code("x = 1", "a", grade=True, solution=True, points=1)], "graded by hand"),
        ([code("pass", "a", grade=True)], "expected a grade_id and points"),
        ([code("def", "a", grade=True, points=1)], "invalid syntax"),
    ],
)
def test_a_reference_that_cannot_be_used_is_named(tmp_path, notebook, message):
    path = write(tmp_path / "solutions" / "01.ipynb", notebook)
    with pytest.raises(GradingError, match=message) as error:
        notebooks.read_references(tmp_path / "solutions")
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: no notebook there"),
        (["empty"], "empty: no notebook there"),
        (["a.ipynb", "--solutions", "empty"], "empty: no reference notebook"),
        (["a.ipynb", "--solutions", "none"], "none: no reference notebook"),
        (["a.ipynb", "--out", "other.csv"], "other.csv: exists and holds no grades"),
        (["a.ipynb", "--out", "a.ipynb"], "a.ipynb: exists and holds no grades"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(
    tmp_path, solutions, monkeypatch, capsys, words, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    write(tmp_path / "a.ipynb", cells())
    before = sorted(tmp_path.rglob("*"))
    assert main(["grade", "--out", "g.csv", *words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("alignlab grade: ")
    assert message in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_checkpoints_are_no_submissions(tmp_path):
    kept = write(tmp_path / "ann" / "a.ipynb", cells())
    write(tmp_path / "ann" / ".ipynb_checkpoints" / "a-checkpoint.ipynb", cells())
    assert find([tmp_path, kept]) == [kept]
