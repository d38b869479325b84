"""Each exercise's check accepts every right answer on file and refuses every wrong one.

The answers are in ``tests/mutants/``, a file for each exercise: functions named ``right_…`` and
``wrong_…``. The docstring of a wrong one is what the check has to say about it, where it can tell.
"""

import importlib.util
from functools import cache
from pathlib import Path

import pytest

from alignlab import checks
from alignlab.checks import CheckFailed

FOLDER = Path(__file__).with_name("mutants")
EXERCISES = sorted(set(checks.__all__) - {"CheckFailed"})


def load(exercise):
    spec = importlib.util.spec_from_file_location(f"mutants_{exercise}", FOLDER / f"{exercise}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


ANSWERS = {exercise: load(exercise) for exercise in EXERCISES}
MUTANTS = [
    (exercise, name)
    for exercise in EXERCISES
    for name in ANSWERS[exercise]
    if name.startswith(("right_", "wrong_"))
]
RIGHT = [pair for pair in MUTANTS if pair[1].startswith("right_")]
WRONG = [pair for pair in MUTANTS if pair[1].startswith("wrong_")]


@cache
def outcome(exercise: str, name: str) -> CheckFailed | None:
    """Return how the check fails on an answer, or None if it passes."""
    try:
        getattr(checks, exercise)(ANSWERS[exercise][name])
    except CheckFailed as failure:
        return failure
    return None


@pytest.mark.parametrize("exercise", EXERCISES)
def test_every_exercise_has_mutants(exercise):
    assert len([pair for pair in RIGHT if pair[0] == exercise]) >= 2
    assert len([pair for pair in WRONG if pair[0] == exercise]) >= 5


def test_no_file_of_mutants_is_left_over():
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == EXERCISES


@pytest.mark.parametrize(("exercise", "name"), RIGHT)
def test_a_right_answer_passes(exercise, name):
    assert outcome(exercise, name) is None


@pytest.mark.parametrize(("exercise", "name"), WRONG)
def test_a_wrong_answer_fails_and_its_mistake_is_named(exercise, name):
    failure = outcome(exercise, name)
    assert isinstance(failure, CheckFailed)
    said = ANSWERS[exercise][name].__doc__
    assert (said or "") in (failure.likely or "")


@pytest.mark.parametrize(("exercise", "name"), WRONG)
def test_a_wrong_answer_is_far_from_what_is_allowed(exercise, name):
    assert outcome(exercise, name).excess >= 100


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_untouched_stub_fails(exercise):
    def stub(*arguments):
        raise NotImplementedError()

    with pytest.raises(CheckFailed, match="it is not written yet"):
        getattr(checks, exercise)(stub)


def test_table_of_mutants(capsys):
    lines = [f"{'exercise':22}{'right':>6}{'wrong':>6}{'named':>6}  least error (× allowed)"]
    for exercise in EXERCISES:
        found = [outcome(*pair) for pair in MUTANTS if pair[0] == exercise]
        failures = [failure for failure in found if failure]
        named = sum(failure.likely is not None for failure in failures)
        least = min(failure.excess for failure in failures)
        lines.append(f"{exercise:22}{found.count(None):6}{len(failures):6}{named:6}  {least:.0f}")
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert sum(outcome(*pair) is None for pair in MUTANTS) == len(RIGHT)
