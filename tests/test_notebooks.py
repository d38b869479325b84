"""notebooks.py: what is built from a text, what is refused, and that the committed files fit."""

import contextlib
import io
import json
import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from alignlab import checks, concepts, notebooks
from alignlab.checks import CheckFailed
from alignlab.notebooks import BuildError, dumps, exercise, read_text, same_cells

ROOT = Path(__file__).resolve().parents[1]
TEXTS = sorted(path for folder in notebooks.FOLDERS for path in (ROOT / folder).glob("*.py"))
SOLUTIONS = [path for path in TEXTS if path.parent.name == "solutions"]
ANSWER = {
    "grade": False, "grade_id": "09-token-mean-answer", "locked": False, "schema_version": 3,
    "solution": True, "task": False,
}  # fmt: skip
CHECK = {
    "grade": True, "grade_id": "09-token-mean", "locked": True, "points": 2, "schema_version": 3,
    "solution": False, "task": False,
}  # fmt: skip
REGION = """\
    ### BEGIN SOLUTION
    counted = losses[mask].sum()
    return counted / mask.sum().clamp(min=1)
    ### END SOLUTION
"""
TEXT = f"""\
# %% [markdown]
# # A title

# %%
from alignlab import checks

# %% nbgrader={json.dumps(ANSWER)}
def token_mean(losses, mask):
{REGION}
# %% nbgrader={json.dumps(CHECK)}
checks.token_mean(token_mean)
"""


@pytest.fixture
def write(tmp_path):
    """Write a text as a file of solutions."""

    def write(text, name="09_test"):
        path = tmp_path / "solutions" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def stubbed(path):
    return exercise(read_text(path), path)


def changed(cell, **values):
    """Return the text with other metadata of the answer or of the check."""
    return TEXT.replace(json.dumps(cell), json.dumps(cell | values))


# --- exercises -----------------------------------------------------------------------------------


def test_an_exercise_is_the_solution_with_a_stub(write):
    path = write(TEXT)
    solution, student = read_text(path), stubbed(path)
    assert [cell.id for cell in student.cells[2:]] == ["09-token-mean-answer", "09-token-mean"]
    assert student.cells[2].source == (
        "def token_mean(losses, mask):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    )
    assert student.cells[2].metadata.nbgrader == ANSWER
    assert student.cells[3].metadata.nbgrader == CHECK
    same_cells(solution, student, path, answers=False)
    with pytest.raises(BuildError, match=r"cell 3: its source is 'def token_mean.*raise Not"):
        same_cells(solution, student, path)


def test_what_stands_around_the_region_stays(write):
    path = write(TEXT.replace("    ### BEGIN", "    losses = losses + 0\n    ### BEGIN"))
    assert "    losses = losses + 0\n    # YOUR CODE HERE" in stubbed(path).cells[2].source


def test_the_same_text_gives_the_same_bytes(write):
    first, second = (dumps(stubbed(write(TEXT, name))) for name in ("09_a", "09_b"))
    assert first == second
    assert first.endswith("}\n")
    assert first != dumps(stubbed(write(TEXT.replace("A title", "Another"))))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("    ### BEGIN SOLUTION\n", ""), "expected one region from ### BEGIN"),
        (TEXT.replace("    ### END SOLUTION\n", ""), "expected one region from ### BEGIN"),
        (TEXT.replace(REGION, "    return losses\n"), "expected one region from ### BEGIN"),
        (TEXT.replace(REGION, REGION + REGION), "expected one region from ### BEGIN"),
        (TEXT.replace(REGION, REGION.replace("BEGIN", "X").replace("END", "BEGIN")), "one region"),
        (re.sub(r"    (counted|return) .*\n", "", TEXT), "the region is empty"),
        (TEXT.replace("A title", "Try `return counted / mask.sum().clamp(min=1)`"), "still has a"),
        (TEXT + "\n# %%\n# counted = losses[mask].sum()\n", "still has a solution's line: counted"),
        (TEXT + "\n# %%\n### BEGIN SOLUTION\n", "a solution in a cell that is not marked"),
        (changed(ANSWER, solution=False, locked=True), "a solution in a cell that is not marked"),
        (changed(ANSWER, locked=True), "expected an answer, or a locked cell"),
        (changed(CHECK, locked=False), "expected an answer, or a locked cell"),
        (changed(CHECK, schema_version=2), "in schema 3"),
        (changed(CHECK, task=True), "in schema 3"),
        (changed(CHECK, grade=False), "in schema 3"),
        (changed(ANSWER, points=2), "in schema 3"),
        (changed(CHECK, grade_id="09-other"), "an answer ID-answer before each check ID"),
        (changed(CHECK, grade_id="09-token-mean-answer"), "there is another of this id"),
        (TEXT + "\n# %%\nfrom alignlab import checks\n", "there is another of this id or text"),
        (TEXT.replace("checks.token_mean(token_mean)", "token_mean"), "expected checks.token_mean"),
        (TEXT[: TEXT.index("# %% nbgrader")], "no exercise"),
    ],
)
def test_a_text_that_would_give_bad_exercises_is_refused(write, text, message):
    assert text != TEXT
    path = write(text)
    with pytest.raises(BuildError, match=re.escape(message)) as caught:
        notebooks.build(path)
    assert str(caught.value).startswith(str(path))
    assert [p.name for p in path.parents[1].rglob("*") if p.is_file()] == ["09_test.py"]


# --- building, with a kernel ---------------------------------------------------------------------


@pytest.mark.slow
def test_build_check_and_what_a_check_notices(write, capsys):
    path = write(TEXT)
    with pytest.raises(SystemExit):
        notebooks.main(["--check", str(path)])
    assert "09_test.ipynb: not there; run make notebooks" in capsys.readouterr().err
    student, built = notebooks.build(path)
    assert (student.parent.name, built.parent.name) == ("exercises", "solutions")
    notebooks.check(path)
    saved = nbformat.read(built, as_version=4)
    assert saved.cells[3].outputs[0].text == "token_mean: right on all 16 cases.\n"
    before = built.read_bytes(), student.read_bytes()
    notebooks.build(path)
    assert (built.read_bytes(), student.read_bytes()) == before

    for old, new, message in [
        ("A title", "Mine", "its source is"),
        ('"execution_count": 3', '"execution_count": null', "not run in order"),
        ('"output_type": "stream"', '"output_type": "error"', "saved with an error"),
    ]:
        text = before[0].decode()
        assert old in text
        built.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(BuildError, match=message):
            notebooks.check(path)
    built.write_bytes(before[0])
    student.write_text(before[1].decode().replace("YOUR CODE", "MY CODE"), encoding="utf-8")
    with pytest.raises(BuildError, match=r"differs from what 09_test\.py gives"):
        notebooks.check(path)
    # A solution that does not pass its own check is never written.
    write(TEXT.replace(".sum().clamp(min=1)", ".sum()"))
    with pytest.raises(Exception, match="0 divided by 0"):
        notebooks.build(path)
    assert built.read_bytes() == before[0]


# --- the committed files -------------------------------------------------------------------------


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.stem)
def test_the_committed_notebooks_are_those_of_their_text(path):
    notebooks.check(path)


def test_every_notebook_has_a_text():
    built = [p for f in (*notebooks.FOLDERS, "exercises") for p in (ROOT / f).glob("*.ipynb")]
    assert {path.stem for path in built} == {path.stem for path in TEXTS}
    assert SOLUTIONS


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda p: p.stem)
def test_the_solutions_print_what_was_saved(path):
    saved = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    said = [out.text for c in saved.cells if c.cell_type == "code" for out in c.outputs]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), {})
    assert printed.getvalue() == "".join(said)


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda p: p.stem)
def test_every_exercise_says_concept_minutes_and_difficulty_and_has_a_hint(path):
    cells, course = read_text(path).cells, concepts.load()
    before = {cell.id: text.source for text, cell in pairwise(cells)}
    names = [cell.id.removesuffix("-answer") for cell in cells if cell.id.endswith("-answer")]
    assert len(names) >= 5
    named = [n for c in course.concepts if c.chapter == path.name[:2] for n in c.exercises]
    assert sorted(named) == sorted(names)
    for number, name in enumerate(names, 1):
        text = before[f"{name}-answer"]
        titles = [c.title for c in course.concepts if name in c.exercises]
        line = rf"\*{'; '.join(map(re.escape, titles))} · (\d+) minutes · (★☆☆|★★☆|★★★)\*"
        found = re.match(rf"## {number}\. .+\n\n{line}\n", text)
        assert found, name
        assert 5 <= int(found.group(1)) <= 40
        assert len(re.findall(r"<details><summary>Hint[^<]*</summary>\n\n", text)) >= 1
        assert text.count("<details>") == text.count("</details>")


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda p: p.stem)
def test_every_check_of_the_package_belongs_to_an_exercise(path):
    used = {cell.id for solution in SOLUTIONS for cell in read_text(solution).cells}
    functions = {name.partition("-")[2].replace("-", "_") for name in used}
    assert set(checks.__all__) - {"CheckFailed"} <= functions


def test_an_exercise_as_a_student_does_it(capsys):
    path = ROOT / "exercises" / "02_mle_objective.ipynb"
    cells = {cell.id: cell.source for cell in nbformat.read(path, as_version=4).cells}
    names: dict = {}
    exec(cells["02-setup"], names)
    stub = cells["02-token-mean-answer"]
    exec(stub, names)
    with pytest.raises(CheckFailed, match=r"not written yet: put your code in place of raise Not"):
        exec(cells["02-token-mean"], names)
    code = "# YOUR CODE HERE\n    raise NotImplementedError()"
    exec(stub.replace(code, "return (losses * mask).sum() / len(losses)"), names)
    with pytest.raises(CheckFailed) as caught:
        exec(cells["02-token-mean"], names)
    assert "the value is 6, expected 3" in str(caught.value)
    assert "likely   divided by the number of rows, not of tokens" in str(caught.value)
    exec(stub.replace(code, "return losses[mask].sum() / mask.sum().clamp(min=1)"), names)
    exec(cells["02-token-mean"], names)
    assert capsys.readouterr().out == "token_mean: right on all 16 cases.\n"
