"""What a quiz is made of: five types of question, each option of which is explained.

An answer is what a person can type. The choices of a question carry letters (``choices``), and the
answer is a string of them: ``"B"`` for a single choice, ``"AC"`` for several, one letter for each
left side in turn for matching, all letters in order for ordering. A numeric answer is a number.
"""

from collections.abc import Sequence
from itertools import pairwise
from string import ascii_uppercase
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, PositiveFloat, model_validator

from alignlab.schema import ChapterNumber, Identifier, Part, Text

Answer = str | float


class Explained(Part):
    """Something to choose or to place, and why it is where it belongs."""

    text: Text
    why: Text


class Option(Explained):
    """One option of a choice; ``why`` says what speaks for it or which misconception it is."""

    right: bool = False


class Pair(Part):
    """A left side of a matching question and the right side that belongs to it."""

    left: Text
    right: Text
    why: Text


class Slip(Part):
    """A number that a common mistake leads to, and which mistake that is."""

    value: FiniteFloat
    why: Text


class _Question(Part):
    """What all questions have: an id, a case to think of, what is asked, what to look at."""

    id: Identifier
    case: Text | None = None
    ask: Text
    see: Text | None = None  # what the chapter measured that settles the question


class Choice(_Question):
    """Choose one option, or all that apply."""

    type: Literal["single", "multiple"]
    options: Annotated[list[Option], Field(min_length=3, max_length=8)]

    @model_validator(mode="after")
    def _count(self):
        _differ([option.text for option in self.options])
        right = sum(option.right for option in self.options)
        if self.type == "single" and right != 1:
            raise ValueError(f"a single choice has one right option, not {right}")
        if not 0 < right < len(self.options):
            raise ValueError("some options must be right and some wrong")
        return self


class Matching(_Question):
    """Give each left side its right side; ``extras`` are right sides that belong to none."""

    type: Literal["matching"]
    pairs: Annotated[list[Pair], Field(min_length=3, max_length=8)]
    extras: list[Explained] = []

    @model_validator(mode="after")
    def _distinct(self):
        _differ([pair.left for pair in self.pairs])
        extras = [extra.text for extra in self.extras]
        _differ([*{pair.right for pair in self.pairs}, *extras])
        return self


class Ordering(_Question):
    """Put the items in order; the file has them in the right one."""

    type: Literal["ordering"]
    items: Annotated[list[Explained], Field(min_length=3, max_length=8)]

    @model_validator(mode="after")
    def _shuffled(self):
        texts = [item.text for item in self.items]
        _differ(texts)
        if texts == [item.text for item in choices(self)]:
            raise ValueError("the alphabet, in which the items are shown, gives the order away")
        return self


class Numeric(_Question):
    """Answer with a number that may differ from ``answer`` by ``tolerance``."""

    type: Literal["numeric"]
    answer: FiniteFloat
    tolerance: PositiveFloat
    unit: Text | None = None
    why: Text
    slips: Annotated[list[Slip], Field(min_length=2)]

    @model_validator(mode="after")
    def _apart(self):
        values = sorted([self.answer, *(slip.value for slip in self.slips)])
        if any(high - low <= 2 * self.tolerance for low, high in pairwise(values)):
            raise ValueError("the tolerance does not tell the answer and the slips apart")
        return self


Question = Annotated[Choice | Matching | Ordering | Numeric, Field(discriminator="type")]


class Quiz(Part):
    """The questions of one chapter; their ids start with its number."""

    chapter: ChapterNumber
    title: Text
    questions: Annotated[list[Question], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids(self):
        ids = [question.id for question in self.questions]
        _differ(ids)
        foreign = [name for name in ids if not name.startswith(f"{self.chapter}-")]
        if foreign:
            raise ValueError(f"ids must start with {self.chapter}-: {', '.join(foreign)}")
        return self


def choices(question: Question) -> list[Option | Explained]:
    """Return what the letters A, B, … of a question stand for, in the order shown.

    Options stay in the file's order. What is to be matched or ordered goes by the alphabet.
    """
    if isinstance(question, Choice):
        return question.options
    if isinstance(question, Matching):
        pairs = {p.right: Explained(text=p.right, why=p.why) for p in question.pairs}
        return sorted([*pairs.values(), *question.extras], key=_alphabet)
    if isinstance(question, Ordering):
        return sorted(question.items, key=_alphabet)
    return []


def solution(question: Question) -> Answer:
    """Return the right answer."""
    if isinstance(question, Numeric):
        return question.answer
    if isinstance(question, Choice):
        return "".join(c for c, option in zip(ascii_uppercase, question.options) if option.right)
    letters = {choice.text: c for c, choice in zip(ascii_uppercase, choices(question))}
    if isinstance(question, Matching):
        return "".join(letters[pair.right] for pair in question.pairs)
    return "".join(letters[item.text] for item in question.items)


def _alphabet(choice: Explained) -> str:
    return choice.text.casefold()


def _differ(texts: Sequence[str]) -> None:
    if len(set(texts)) < len(texts):
        raise ValueError(f"two of these are the same: {', '.join(texts)}")
