"""Make Colab links point to your own copy: ``python -m alignlab.badges OWNER/NAME``.

The chapters' links and the line that installs the course in Colab name a repository on GitHub. In a
fork they have to name the fork. What a notebook shows stays as it is: nothing is run again.
"""

import argparse
import re
from pathlib import Path

import nbformat

from alignlab.notebooks import dumps, read_text
from alignlab.whole import write_whole

NAME = r"[\w.-]+/[\w.-]+"
LINK = re.compile(rf"(colab\.research\.google\.com/github/|git\+https://github\.com/){NAME}")


def stamped(text: str, repository: str) -> str:
    """Return a text whose links to Colab and to GitHub's sources name this repository."""
    return LINK.sub(rf"\g<1>{repository}", text)


def stamp(path: Path, repository: str) -> list[Path]:
    """Write a repository's name into a text and into the notebook that was built from it.

    Args:
        path: a file of text; the notebook of a ``py:percent`` file stands beside it.
        repository: ``owner/name``.

    Returns:
        The files that changed.
    """
    before = path.read_text(encoding="utf-8")
    after = stamped(before, repository)
    if after == before:
        return []
    write_whole(path, after)
    built = path.with_suffix(".ipynb")
    if path.suffix != ".py" or not built.exists():
        return [path]
    notebook, shown = read_text(path), nbformat.read(built, as_version=4)
    for cell, old in zip(notebook.cells, shown.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = old.outputs, old.execution_count
    write_whole(built, dumps(notebook))
    return [path, built]


def main(argv: list[str] | None = None) -> None:
    """Stamp the README and all chapters of the folder that this is run in."""
    parser = argparse.ArgumentParser(prog="python -m alignlab.badges", description=__doc__)
    parser.add_argument("repository", help="on GitHub, as in alice/alignlab")
    repository = parser.parse_args(argv).repository
    if not re.fullmatch(NAME, repository):
        parser.error(f"{repository!r} is no repository; expected OWNER/NAME, as in alice/alignlab")
    files = [Path("README.md"), *sorted(Path("chapters").glob("*.py"))]
    if not files[0].exists():
        parser.error("no README.md here; run it in the project's folder")
    changed = [target for path in files for target in stamp(path, repository)]
    print("\n".join(f"wrote {path}" for path in changed) or f"all links name {repository} already")


if __name__ == "__main__":
    main()
