"""Build the notebooks from their text: ``python -m alignlab.notebooks [--check] [FILE …]``.

The text is a jupytext ``py:percent`` file; beside it comes the executed notebook of the same name.
From a file of ``solutions/`` comes a second notebook in ``exercises/``: the same cells, with a stub
in place of everything between ``### BEGIN SOLUTION`` and ``### END SOLUTION``. Its bytes depend on
the text alone. The cells carry nbgrader's metadata, so instructors can use the same files with it.
"""

import argparse
import copy
import hashlib
import re
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from alignlab.whole import write_whole

FOLDERS = ("chapters", "solutions")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
# What nbgrader's own generate_assignment puts there.
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
NBGRADER = {"grade", "grade_id", "locked", "schema_version", "solution", "task"}
# A shorter line, such as `return loss`, may well stand elsewhere without giving anything away.
GIVES_AWAY = 16
TIMEOUT = 600  # seconds for one cell


class BuildError(ValueError):
    """A text that no notebook can be made of: names the file, the cell and what was expected."""


def read_text(path: Path) -> NotebookNode:
    """Return the notebook of a ``py:percent`` file: no outputs, ids that depend on the text alone.

    Raises:
        BuildError: two cells with one id.
    """
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat_minor = 5
    seen = set()
    for cell in notebook.cells:
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's note on how the text is laid out
        content = f"{cell.cell_type}\n{cell.source}".encode()
        cell.id = _graded(cell).get("grade_id") or hashlib.sha256(content).hexdigest()[:12]
        if cell.id in seen:
            raise BuildError(f"{path}, cell {cell.id}: there is another of this id or text")
        seen.add(cell.id)
    return notebook


def _graded(cell: NotebookNode) -> dict:
    return cell.metadata.get("nbgrader", {})


def exercise(solution: NotebookNode, path: Path) -> NotebookNode:
    """Return the notebook that students get.

    Args:
        solution: the notebook of a file of ``solutions/``.
        path: that file, for messages.

    Raises:
        BuildError: metadata that are not nbgrader's, an answer without a check or without a region,
            a region outside an answer, a line of a solution that stands elsewhere as well.
    """
    _check_exercises(solution, path)
    stubbed = copy.deepcopy(solution)
    removed = []
    for cell in stubbed.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if _graded(cell).get("solution"):
            cell.source, lines = _stub(cell.source, f"{path}, cell {cell.id}")
            removed += lines
    _check_removed(stubbed, removed, path)
    same_cells(solution, stubbed, path, answers=False)
    return stubbed


def _check_exercises(solution: NotebookNode, path: Path) -> None:
    answers, checks = {}, {}
    for cell in solution.cells:
        place, graded = f"{path}, cell {cell.id}", _graded(cell)
        if not graded.get("solution") and (BEGIN in cell.source or END in cell.source):
            raise BuildError(f"{place}: a solution in a cell that is not marked as an answer")
        if not graded:
            continue
        expected = NBGRADER | ({"points"} if graded.get("grade") else set())
        if set(graded) != expected or graded["schema_version"] != 3 or graded["task"]:
            raise BuildError(f"{place}: expected nbgrader's {sorted(expected)} in schema 3")
        if graded["locked"] == graded["solution"] or (graded["grade"] and graded["solution"]):
            raise BuildError(f"{place}: expected an answer, or a locked cell that is none")
        if graded["solution"]:
            answers[cell.id] = cell
        elif graded["grade"]:
            checks[cell.id] = cell
    if not answers:
        raise BuildError(f"{path}: no exercise; expected cells with nbgrader's 'solution': true")
    if list(answers) != [f"{name}-answer" for name in checks]:
        raise BuildError(
            f"{path}: expected an answer ID-answer before each check ID, "
            f"found {', '.join(answers)} and {', '.join(checks)}"
        )
    for name, cell in checks.items():
        function = name.partition("-")[2].replace("-", "_")
        if cell.source != f"checks.{function}({function})":
            raise BuildError(f"{path}, cell {name}: expected checks.{function}({function})")


def _stub(source: str, place: str) -> tuple[str, list[str]]:
    """Return a cell's source with its region replaced, and the lines that stood there."""
    lines = source.splitlines()
    marks = [(n, line.strip()) for n, line in enumerate(lines) if line.strip() in (BEGIN, END)]
    if [mark for _, mark in marks] != [BEGIN, END]:
        raise BuildError(f"{place}: expected one region from {BEGIN} to {END}")
    (start, _), (end, _) = marks
    removed = [line.strip() for line in lines[start + 1 : end] if line.strip()]
    if not removed:
        raise BuildError(f"{place}: the region is empty")
    indent = re.match(r"\s*", lines[start]).group()
    stub = [indent + line for line in STUB]
    return "\n".join([*lines[:start], *stub, *lines[end + 1 :]]), removed


def _check_removed(stubbed: NotebookNode, removed: list[str], path: Path) -> None:
    for cell in stubbed.cells:
        for line in removed:
            if len(line) >= GIVES_AWAY and line in cell.source:
                raise BuildError(f"{path}, cell {cell.id}: still has a solution's line: {line}")


def same_cells(one: NotebookNode, other: NotebookNode, path: Path, answers: bool = True) -> None:
    """Compare two notebooks in everything but outputs.

    Args:
        path: the file of the second, for messages.
        answers: whether the sources of answers are compared too.

    Raises:
        BuildError: the first cell that differs.
    """
    if len(one.cells) != len(other.cells):
        raise BuildError(f"{path}: {len(one.cells)} cells, expected {len(other.cells)}")
    for number, (cell, twin) in enumerate(zip(one.cells, other.cells), 1):
        for key in ("id", "cell_type", "metadata", "source"):
            free = key == "source" and _graded(cell).get("solution") and not answers
            if cell[key] != twin[key] and not free:
                raise BuildError(
                    f"{path}, cell {number}: its {key} is {twin[key]!r}, expected {cell[key]!r}"
                )


def execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Return a copy of a notebook, run from the top in a new kernel.

    Args:
        folder: where the kernel runs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
    """
    executed = copy.deepcopy(notebook)
    NotebookClient(
        executed, timeout=TIMEOUT, kernel_name="python3", record_timing=False,
        coalesce_streams=True,  # else chance decides where a print is cut into two
        resources={"metadata": {"path": str(folder)}},
    ).execute()  # fmt: skip
    executed.metadata = nbformat.from_dict(METADATA)  # the kernel adds its own version
    return executed


def dumps(notebook: NotebookNode) -> str:
    """Return a notebook as its file's text."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=4) + "\n"


def build(path: Path) -> list[Path]:
    """Write the executed notebook of a text, and its exercises if it is a file of solutions.

    Returns:
        The files written.

    Raises:
        BuildError: see ``exercise``; then nothing has been written.
    """
    notebook = read_text(path)
    texts = {}
    if path.parent.name == "solutions":
        texts[_exercises(path)] = dumps(exercise(notebook, path))
    texts[path.with_suffix(".ipynb")] = dumps(execute(notebook, path.parent))
    for target, text in texts.items():
        target.parent.mkdir(exist_ok=True)
        write_whole(target, text)
    return list(texts)


def _exercises(path: Path) -> Path:
    return path.parent.with_name("exercises") / f"{path.stem}.ipynb"


def check(path: Path) -> None:
    """Compare the files that were built from a text with it, running nothing.

    Raises:
        BuildError: a file that is missing, differs, was not run, or holds an error.
    """
    notebook, built = read_text(path), path.with_suffix(".ipynb")
    for target in (built, _exercises(path)) if path.parent.name == "solutions" else (built,):
        if not target.exists():
            raise BuildError(f"{target}: not there; run make notebooks")
    saved = nbformat.read(built, as_version=4)
    same_cells(notebook, saved, built)
    code = [cell for cell in saved.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        if cell.execution_count != number:
            raise BuildError(f"{built}, cell {cell.id}: not run in order from the top")
        if any(output.output_type == "error" for output in cell.outputs):
            raise BuildError(f"{built}, cell {cell.id}: saved with an error")
    if path.parent.name == "solutions":
        target = _exercises(path)
        if target.read_text(encoding="utf-8") != dumps(exercise(notebook, path)):
            raise BuildError(f"{target}: differs from what {path.name} gives; run make notebooks")


def main(argv: list[str] | None = None) -> None:
    """Build or check the notebooks of the given texts, or of all."""
    parser = argparse.ArgumentParser(prog="python -m alignlab.notebooks", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="py files (default: all)")
    parser.add_argument("--check", action="store_true", help="only say whether they are up to date")
    args = parser.parse_args(argv)
    files = args.files or sorted(p for folder in FOLDERS for p in Path(folder).glob("*.py"))
    if not files:
        parser.error(f"no py files in {' or '.join(FOLDERS)} here; run it in the project's folder")
    for path in files:
        try:
            if args.check:
                check(path)
            else:
                print("\n".join(f"wrote {target}" for target in build(path)))
        except BuildError as error:
            parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
