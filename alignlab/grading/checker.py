"""Runs the reference's check cells on one submission; trusted, in a process of its own."""

import contextlib
import io

import torch

from alignlab.grading import sandbox
from alignlab.grading.answers import Answers, CouldNotRun

_MAX_MESSAGE = 2000


def grade(job: dict, level: str, scratch: str) -> list[dict]:
    """Grade one submission.

    Args:
        job: from ``notebooks.Reference.job``: cells, checks, imports, and the paths to hide.
        level: of ``sandbox.LEVELS``.
        scratch: an empty folder.

    Returns:
        For each check ``exercise``, ``points``, ``max_points``, ``status`` ("right", "wrong" or
        "could not run") and ``message``.
    """
    limits = sandbox.Limits(**job["limits"])
    answers = Answers(job["cells"], level, limits, scratch=scratch, hidden=job["hidden"])
    rows = []
    for check in job["checks"]:
        status, message = _run(check, job["imports"], answers)
        rows.append({
            "exercise": check["id"], "points": check["points"] if status == "right" else 0,
            "max_points": check["points"], "status": status, "message": message[:_MAX_MESSAGE],
        })  # fmt: skip
    return rows


def _run(check: dict, imports: str, answers: Answers) -> tuple[str, str]:
    printed = io.StringIO()
    torch.manual_seed(0)
    try:
        answers.begin()
        names = {"__name__": "check"}
        with contextlib.redirect_stdout(printed):
            exec(imports, names)
            for name, cell in check["names"].items():
                names[name] = answers.get(name, cell)
            exec(compile(check["source"], f"<{check['id']}>", "exec"), names)
    except CouldNotRun as error:
        return "could not run", str(error)
    except AssertionError as error:
        return "wrong", str(error) or "an assertion of the check failed"
    except Exception as error:
        return "wrong", f"{type(error).__name__}: {error}"
    return "right", printed.getvalue().strip()
