"""What every check shares: its cases, the call of an answer, and one readable failure.

A check calls an answer on small cases and compares what comes back with values from a reference
of its own, never from the answer (``values``).
"""

import copy
import math
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from alignlab.checks.values import (
    as_expected,
    as_parts,
    difference,
    excess,
    plain,
    same,
    shown,
    tensors,
)

SEEDS = (0, 1, 2)

Mistakes = Mapping[str, Callable]


class CheckFailed(AssertionError):
    """An answer that is not right yet, and all that helps to find out why.

    Attributes:
        excess: the largest error in units of what is allowed; infinite for a wrong shape, a wrong
            type, a value that is not finite, and an exception.
        likely: the mistake's name, or None.
    """

    def __init__(self, message: str, excess: float = math.inf, likely: str | None = None):
        """Keep the message and what tests ask for."""
        super().__init__(message)
        self.excess, self.likely = excess, likely

    def _render_traceback_(self) -> list[str]:
        # IPython shows this instead of the frames of the check, in which nothing is to be found.
        return str(self).splitlines()


@dataclass(frozen=True)
class Case:
    """One call of an answer.

    Attributes:
        title: what is special about it.
        arguments: by name, in the order of the call.
        seed: the one it was drawn with; None for a case that is always the same.
    """

    title: str
    arguments: dict[str, Any]
    seed: int | None = None


@dataclass(frozen=True)
class Trial:
    """An answer under one case: calls it, and words its failures."""

    name: str
    answer: Callable
    case: Case
    mistakes: Mistakes

    def run(self, gradients: Sequence[str] = ()) -> tuple[Any, list[torch.Tensor]]:
        """Return what the answer returns, and the tensors that gradients are asked for.

        Raises:
            CheckFailed: the answer raises, or changes its arguments.
        """
        arguments = copy.deepcopy(self.case.arguments)
        leaves = [leaf for name in gradients for leaf in tensors(arguments[name])]
        for leaf in leaves:
            leaf.requires_grad_()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.case.seed or 0)
            try:
                got = self.answer(*arguments.values())
            except NotImplementedError as error:
                raise self.failure(
                    "it is not written yet: put your code in place of raise NotImplementedError()"
                ) from error
            except Exception as error:
                raise self.failure(_raised(self.answer, error)) from error
        for name, before in self.case.arguments.items():
            if not same(before, arguments[name]):
                raise self.failure(
                    f"it changed its argument {name} in place, which the caller still needs; "
                    "work on a copy (clone, or masked_fill without the underscore)"
                )
        return got, leaves

    def one_tensor(self, truth: torch.Tensor, what: str) -> torch.Tensor:
        """Run the answer, which is to return one tensor; return it in float64, without its graph.

        Args:
            truth: whose shape it has to have.
            what: it holds, for the message.

        Raises:
            CheckFailed: as ``run``; also no tensor, or one of another shape.
        """
        got, _ = self.run()
        try:
            (found,) = plain(got, truth)
        except TypeError as error:
            raise self.failure(str(error)) from None
        if found.shape != truth.shape:
            shapes = f"{tuple(found.shape)}, expected {tuple(truth.shape)}"
            raise self.failure(f"{what} have shape {shapes}")
        return found.detach().double()

    def failure(
        self, what: str, expected=None, got=None, excess: float = math.inf, likely=None
    ) -> CheckFailed:
        """Return the failure with the input, what was expected, what came, and how to repeat it."""
        rows = [("input", "\n".join(f"{n} = {shown(v)}" for n, v in self.case.arguments.items()))]
        rows += [("expected", shown(expected))] if expected is not None else []
        rows += [("got", shown(got))] if got is not None else []
        rows += [("likely", likely)] if likely else []
        if self.case.seed is not None:
            rows.append(("repeat", f"checks.{self.name}({self.name}, seeds=[{self.case.seed}])"))
        lines = [f"{self.name}, on {self.case.title}: {what}."]
        for label, text in rows:
            lines += [f"  {label:9}{text}".replace("\n", "\n" + " " * 11)]
        return CheckFailed("\n".join(lines), excess, likely)

    def likely(self, got) -> str | None:
        """Return the name of the mistake that gives the same value as the answer, if any does."""
        for name, mistaken in self.mistakes.items():
            try:
                value = as_expected(mistaken(*copy.deepcopy(self.case.arguments).values()))
                parts = plain(got, value)
            except (ArithmeticError, TypeError):
                continue
            if excess(parts, value) <= 1:
                return name
        return None


def verify(
    name: str,
    answer: Callable,
    reference: Callable,
    by_hand: Iterable[Case],
    drawn: Callable[[torch.Generator], Mapping[str, dict[str, Any]]],
    mistakes: Mistakes,
    gradients: Sequence[str] = (),
    seeds: Iterable[int] = SEEDS,
) -> None:
    """Compare an answer with a reference on every case; print one line if it passes.

    Args:
        name: of the check and of the answer.
        reference: called with the arguments of a case, gives the expected tensor or number, or a
            tuple of these.
        by_hand: cases small enough to check by hand, which come first, since a failure shows one.
        drawn: makes arguments by title from a seeded generator.
        mistakes: functions that make a mistake, by what to say about it.
        gradients: the arguments whose gradients are compared as well.
        seeds: one set of drawn cases for each.

    Raises:
        CheckFailed: the first case that is not right.
    """
    cases = list(by_hand)
    for seed in seeds:
        made = drawn(torch.Generator().manual_seed(seed))
        cases += [Case(title, arguments, seed) for title, arguments in made.items()]
    for case in cases:
        _judge(Trial(name, answer, case, mistakes), reference, gradients)
    passed(name, len(cases))


def passed(name: str, cases: int) -> None:
    """Print the one line of a check that passes."""
    print(f"{name}: right on all {cases} cases.")


def _judge(trial: Trial, reference: Callable, gradients: Sequence[str]) -> None:
    got, leaves = trial.run(gradients)
    arguments = copy.deepcopy(trial.case.arguments)
    sources = [leaf.requires_grad_() for name in gradients for leaf in tensors(arguments[name])]
    expected = as_expected(reference(*arguments.values()))
    try:
        parts = plain(got, expected)
    except TypeError as error:
        raise trial.failure(str(error), expected, likely=trial.likely(got)) from None
    size = excess(parts, expected)
    if size > 1:
        what = difference(parts, expected)
        raise trial.failure(what, expected, got, size, trial.likely(got))
    if gradients:
        wanted = _pull_back(as_parts(expected), sources)
        pulled = _pull_back(parts, leaves)
        size = excess(pulled, tuple(wanted))
        if size > 1:
            what = f"the value is right, its gradient in {' and '.join(gradients)} is not"
            cut = None
            if not any(part.requires_grad for part in parts):
                cut = "the graph is cut: .item(), .detach(), .tolist() or torch.no_grad()"
            raise trial.failure(what, wanted, pulled, size, cut)


def _pull_back(parts: list[torch.Tensor], leaves: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the gradient of a fixed random combination of the values; 0 where there is none."""
    generator = torch.Generator().manual_seed(1)
    total = torch.zeros((), dtype=torch.float64)
    for part in parts:
        weights = torch.rand(part.shape, generator=generator, dtype=torch.float64) + 0.5
        total = total + (part.to(torch.float64) * weights).sum()
    if not total.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    found = torch.autograd.grad(total, leaves, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found)]


def _raised(answer: Callable, error: Exception) -> str:
    """Name the exception and the line of the answer that it came from."""
    file = getattr(getattr(answer, "__code__", None), "co_filename", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    at = f", in line {frames[-1].lineno}: {frames[-1].line}" if frames else ""
    return f"it raised {type(error).__name__}: {error}{at}"
