"""Notebooks for the tests of grading: a reference with two exercises, and what is handed in."""

import json
from pathlib import Path

SETUP = "import torch\nfrom alignlab import checks\n%matplotlib inline"
TOKEN_NLL = """def token_nll(logits, targets):
    counted = targets != -100
    logprobs = logits.log_softmax(-1)
    found = logprobs.gather(-1, targets.masked_fill(~counted, 0)[..., None])[..., 0]
    return -found.where(counted, 0.0)
"""
PERPLEXITY = """import math

def perplexity(total_losses, token_counts):
    return math.exp(sum(total_losses) / sum(token_counts))
"""
WRONG = "def token_nll(logits, targets):\n    return logits.sum(-1)\n"
STUB = "def token_nll(logits, targets):\n    raise NotImplementedError()\n"


def code(source: str, grade_id: str | None = None, **metadata) -> dict:
    """Return a code cell, with nbgrader's metadata where it has a grade_id."""
    found = {"grade": False, "solution": False, "locked": False, "schema_version": 3} | metadata
    return {
        "cell_type": "code", "execution_count": None, "outputs": [], "source": source,
        "metadata": {"nbgrader": {"grade_id": grade_id} | found} if grade_id else {},
    }  # fmt: skip


def cells(token_nll: str = TOKEN_NLL, perplexity: str = PERPLEXITY, first: str = "") -> list[dict]:
    """Return the cells of a notebook: given ones, two answers and their checks."""
    return [
        code(SETUP, "setup", locked=True),
        *([code(first)] if first else []),
        {"cell_type": "markdown", "metadata": {}, "source": ["## The loss of a token"]},
        code(token_nll, "token_nll", solution=True),
        check("token_nll", 3),
        code(perplexity, "perplexity", solution=True),
        check("perplexity", 2),
    ]


def check(name: str, points: float) -> dict:
    """Return the cell that checks an answer."""
    source = f"checks.{name}({name})"
    return code(source, f"{name}_check", grade=True, locked=True, points=points)


def write(path: Path, notebook: list[dict]) -> Path:
    """Write cells as a notebook."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"cells": notebook, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(whole))
    return path


def reference(folder: Path) -> Path:
    """Write the reference notebook; return the folder."""
    write(folder / "02_test.ipynb", cells())
    return folder
