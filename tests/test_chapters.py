"""The chapters: every cell can fail, nothing in them belongs to one machine, and they have a form.

nbval runs them again. It compares nothing for a cell that was never run,
is marked, or prints nothing, so these tests bound how many such cells there are and where.
"""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from alignlab.notebooks import read_text

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "chapters").glob("*.py"))
MARK = "# NBVAL_IGNORE_OUTPUT"
SET_UP = """\
import subprocess
import sys

if "google.colab" in sys.modules:
    course = "git+https://github.com/OWNER/alignlab"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", course], check=True)

from alignlab import chapter

FOLDER, MODEL, QUIET = chapter.begin()"""
MOST_LINES = 22
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def code_cells(path, built=False):
    cells = nbformat.read(path.with_suffix(".ipynb"), as_version=4) if built else read_text(path)
    return [cell for cell in cells.cells if cell.cell_type == "code"]


def calls(source, name):
    """Return the calls of a function of ``claims`` in a cell."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [node for node in nodes if ast.unparse(node.func).split(".")[-1] == name]


def printed(cell):
    """Return the text that nbval compares."""
    texts = []
    for output in cell.outputs:
        if output.output_type == "stream":
            texts.append(output.text)
        elif "data" in output:
            texts.append(output.data.get("text/plain", ""))
    return "".join(texts)


def shows(cell):
    return bool(cell.outputs)


@each_chapter
def test_few_cells_are_not_compared_and_none_of_them_claims(path):
    cells = code_cells(path)
    marked = [cell for cell in cells if "NBVAL_" in cell.source]
    assert all(cell.source.startswith(MARK) for cell in marked), "the mark is the first line"
    assert len(marked) <= len(cells) / 4
    for cell in marked:
        assert not calls(cell.source, "claim"), cell.source
        assert not calls(cell.source, "reveal"), cell.source


@each_chapter
def test_what_is_claimed_held_when_it_was_run(path):
    cells = code_cells(path, built=True)
    claims = [call for cell in cells for call in calls(cell.source, "claim")]
    assert len(claims) >= 8
    for cell in cells:
        # In a loop one call makes several claims.
        assert printed(cell).count("holds: ") >= len(calls(cell.source, "claim")), cell.source
    for call in claims:
        assert not isinstance(call.args[1], ast.Constant), f"cannot fail: {ast.unparse(call)}"


@each_chapter
def test_every_prediction_is_open_and_revealed_beside_the_measurement(path):
    cells = code_cells(path, built=True)
    text = "\n".join(cell.source for cell in cells)
    asked = re.findall(r"^prediction\w* = None", text, re.M)
    reveals = [call for cell in cells for call in calls(cell.source, "reveal")]
    assert len(asked) >= 3
    assert len(reveals) == len(asked)
    for call in reveals:
        measured = call.args[2] if len(call.args) > 2 else call.keywords[-1].value
        assert not isinstance(measured, ast.Constant), f"typed in: {ast.unparse(call)}"
    assert sum(printed(cell).count("your prediction: none") for cell in cells) == len(reveals)


@each_chapter
def test_cells_are_short_and_nearly_all_show_something(path):
    cells = code_cells(path, built=True)
    for cell in cells:
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= MOST_LINES, cell.source
    assert sum(shows(cell) for cell in cells) >= 0.6 * len(cells)


@each_chapter
def test_outputs_are_of_no_machine_and_small(path):
    built = path.with_suffix(".ipynb")
    notebook = nbformat.read(built, as_version=4)
    assert built.stat().st_size < 2_000_000
    assert "widgets" not in notebook.metadata
    for cell in code_cells(path, built=True):
        for output in cell.outputs:
            assert output.get("name") != "stderr", output.get("text")
        shown = str(cell.outputs)
        assert not re.search(r"/(tmp|root|home|Users)/|0x[0-9a-f]{8}", shown), cell.source


@each_chapter
def test_a_chapter_has_its_parts(path):
    cells = read_text(path).cells
    text, number = "\n".join(cell.source for cell in cells), path.name[:2]
    badge = f"colab.research.google.com/github/OWNER/alignlab/blob/main/chapters/{path.stem}.ipynb"
    assert badge in cells[0].source
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    assert re.sub(r"\n+", "\n", code[0]) == re.sub(r"\n+", "\n", SET_UP)
    assert f"../exercises/{path.stem}.ipynb" in text
    assert f'quiz.show(quiz.load("{number}"))' in text
    assert "show_mask" in text
    assert re.search(r"\bminutes\b|\bhour", text)


@each_chapter
def test_what_a_chapter_links_to_is_there(path):
    text = "\n".join(cell.source for cell in read_text(path).cells)
    targets = re.findall(r"\]\(((?:\.\./)?[\w/]+\.\w+)\)", text)
    assert targets
    assert [name for name in targets if not (path.parent / name).exists()] == []
