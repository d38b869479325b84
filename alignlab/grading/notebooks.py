"""Notebooks as files: what a reference asks, what a submission holds, and which belong together."""

import ast
import builtins
import hashlib
import json
import stat
from dataclasses import dataclass, field
from pathlib import Path

MAX_FILE = 200 << 20


class GradingError(ValueError):
    """Grading that cannot begin: names the file, the cell and what was expected."""


class NotebookError(ValueError):
    """A file that is no notebook that can be graded, with the reason."""


@dataclass(frozen=True)
class Cell:
    """One code cell: its source and nbgrader's metadata, empty where it has none."""

    source: str
    metadata: dict = field(default_factory=dict)

    @property
    def id(self) -> str | None:
        """nbgrader's ``grade_id``."""
        found = self.metadata.get("grade_id")
        return found if isinstance(found, str) else None

    @property
    def is_check(self) -> bool:
        """Whether the cell gives points."""
        return bool(self.metadata.get("grade"))

    @property
    def is_answer(self) -> bool:
        """Whether the cell is the student's to write."""
        return bool(self.metadata.get("solution"))


@dataclass(frozen=True)
class Reference:
    """What the instructor's notebook asks; nothing of the answers in it.

    Attributes:
        name: the file's stem, such as ``02_mle_objective``.
        path: the file.
        ids: every ``grade_id``.
        given: sources of the locked cells that are no checks, by ``grade_id``.
        checks: ``id``, ``points``, ``source`` and ``names`` (each answer that the check names, with
            the ``grade_id`` of the cell that is to define it), in order.
        imports: the import statements outside the answers.
    """

    name: str
    path: Path
    ids: frozenset[str]
    given: dict[str, str]
    checks: list[dict]
    imports: str

    def job(self, submitted: list[Cell], limits: dict, hidden: list[str]) -> dict:
        """Return all that a checker needs, as JSON.

        Args:
            submitted: of these, the submission's own are run, and given ones as they were given.
            limits: of ``sandbox.Limits``.
            hidden: paths that the submission must not see.
        """
        checks = {check["id"] for check in self.checks}
        cells = [
            {"id": cell.id, "source": self.given.get(cell.id, cell.source)}
            for cell in submitted
            if cell.id not in checks
        ]
        return {
            "cells": cells, "checks": self.checks, "imports": self.imports,
            "limits": limits, "hidden": hidden,
        }  # fmt: skip

    def digest(self, path: Path) -> str:
        """Return a digest of a submission's file and of the checks that it is graded by."""
        checks = json.dumps([self.given, self.checks, self.imports]).encode()
        return hashlib.sha256(checks + path.read_bytes()).hexdigest()[:16]


def read_cells(path: Path) -> list[Cell]:
    """Return the code cells of a notebook.

    Raises:
        NotebookError: no plain file, too large, broken JSON, or no notebook of format 4.
    """
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise NotebookError("no plain file; a link is not followed")
        if found.st_size > MAX_FILE:
            raise NotebookError(f"larger than {MAX_FILE >> 20} MiB")
        notebook = json.loads(path.read_bytes().decode("utf-8-sig"))
        cells = notebook["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        found = [Cell("".join(cell["source"]), _metadata(cell)) for cell in code]
    except OSError as error:
        raise NotebookError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NotebookError("not UTF-8, so no notebook") from error
    except json.JSONDecodeError as error:
        raise NotebookError(f"broken JSON at line {error.lineno}: {error.msg}") from error
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotebookError("no notebook of format 4: expected a list of cells") from error
    return found


def _metadata(cell: dict) -> dict:
    found = cell.get("metadata", {}).get("nbgrader", {})
    return found if isinstance(found, dict) else {}


def read_references(path: Path) -> list[Reference]:
    """Return the reference notebooks of a folder, or of one file.

    Raises:
        GradingError: none there, or one whose checks cannot be run on answers alone.
    """
    files = sorted(path.glob("*.ipynb")) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise GradingError(f"{path}: no reference notebook; expected solutions/NN_name.ipynb")
    return [_read_reference(file) for file in files]


def _read_reference(path: Path) -> Reference:
    try:
        cells = read_cells(path)
    except NotebookError as error:
        raise GradingError(f"{path}: {error}") from error
    trees = {id(cell): _parse(cell, path) for cell in cells}
    answers = {
        name: cell.id for cell in cells if cell.is_answer for name in _bound(trees[id(cell)].body)
    }
    ids = [cell.id for cell in cells if cell.id]
    if len(set(ids)) < len(ids):
        double = next(name for name in ids if ids.count(name) > 1)
        raise GradingError(f"{path}: two cells have the grade_id {double!r}")
    lines = [
        node
        for cell in cells
        if not cell.is_answer
        for node in trees[id(cell)].body
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    imported, checks = _bound(lines), []
    for cell in cells:
        if not cell.is_check:
            continue
        place = f"{path}, cell {cell.id!r}"
        if cell.is_answer:
            raise GradingError(f"{place}: an answer that is graded by hand; expected a check")
        points = cell.metadata.get("points")
        if not cell.id or not isinstance(points, (int, float)) or points < 0:
            raise GradingError(f"{place}: expected a grade_id and points, got {cell.metadata}")
        needed = sorted(_needed(trees[id(cell)]) - imported)
        if set(needed) - set(answers):
            name = min(set(needed) - set(answers))
            raise GradingError(
                f"{place}: {name!r} is bound by no answer; a check may use imports and answers only"
            )
        names = {name: answers[name] for name in needed}
        checks.append({"id": cell.id, "points": points, "source": cell.source, "names": names})
    if not checks:
        raise GradingError(f"{path}: no check; expected cells with nbgrader's 'grade': true")
    given = {c.id: c.source for c in cells if c.id and not c.is_check and not c.is_answer}
    imports = "\n".join(dict.fromkeys(map(ast.unparse, lines)))
    return Reference(path.stem, path, frozenset(ids), given, checks, imports)


def _parse(cell: Cell, path: Path) -> ast.Module:
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        return ast.parse(TransformerManager().transform_cell(cell.source))
    except SyntaxError as error:
        raise GradingError(f"{path}, cell {cell.id!r}: {error}") from error


def _bound(body: list[ast.stmt]) -> set[str]:
    """Return the names that statements bind, not those bound within functions and classes."""
    found, todo = set(), list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        todo += ast.iter_child_nodes(node)
    return found


def _needed(tree: ast.Module) -> set[str]:
    """Return the names that a check reads and does not bind itself."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    own = {node.id for node in names if not isinstance(node.ctx, ast.Load)} | _bound(tree.body)
    own |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return {node.id for node in names} - own - set(dir(builtins))


def match(cells: list[Cell], references: list[Reference], path: Path) -> Reference:
    """Return the reference that shares the most ``grade_id`` with a submission.

    The file's name only decides between equals, so a renamed file is found as well.

    Raises:
        NotebookError: none shares any.
    """
    ids = {cell.id for cell in cells}
    shared = {reference.name: len(ids & reference.ids) for reference in references}
    best = max(references, key=lambda r: (shared[r.name], r.name in path.stem))
    if not shared[best.name]:
        raise NotebookError("no cell of any exercise is in this file")
    return best
