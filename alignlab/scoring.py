"""The score of an answer as a pure function, with the explanation of every option."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase

from alignlab.questions import Answer, Choice, Matching, Numeric, Ordering, Question, Quiz, choices


@dataclass(frozen=True)
class Mark:
    """What is to be said of one part of an answer.

    Attributes:
        label: the option's letter, the left side, the item or the number.
        right: whether this part of the answer is right; None where there was nothing to do and
            nothing was done, as for a wrong option that was not chosen.
        verdict: the same in words.
        why: the explanation of the part, whatever was answered.
    """

    label: str
    right: bool | None
    verdict: str
    why: str


@dataclass(frozen=True)
class Result:
    """A question is right only if no part is wrong; the marks say which parts are.

    ``answer`` is what was scored, in its plain form: capital letters alone, or a float.
    """

    answer: Answer
    right: bool
    marks: tuple[Mark, ...]


def score(question: Question, answer: Answer) -> Result:
    """Score an answer, explaining every option.

    Raises:
        ValueError: an answer of another form, saying which form is expected.
    """
    if isinstance(question, Numeric):
        answer = _number(answer)
        marks = _score_number(question, answer)
    else:
        answer = _letters(question, answer)
        if isinstance(question, Choice):
            marks = _score_choice(question, answer)
        elif isinstance(question, Matching):
            marks = _score_matching(question, answer)
        else:
            marks = _score_ordering(question, answer)
    return Result(answer, all(mark.right is not False for mark in marks), tuple(marks))


def total(quiz: Quiz, answers: Mapping[str, Answer]) -> tuple[int, int]:
    """Return how many questions are answered rightly, and how many there are.

    Args:
        answers: by question id; a question without an answer is not right.
    """
    given = [question for question in quiz.questions if question.id in answers]
    right = sum(score(question, answers[question.id]).right for question in given)
    return right, len(quiz.questions)


def _score_choice(question: Choice, letters: str) -> list[Mark]:
    marks = []
    for letter, option in zip(ascii_uppercase, question.options):
        chosen = letter in letters
        verdict = "right" if option.right else "wrong"
        if chosen != option.right:
            verdict += ", but chosen" if chosen else ", but not chosen"
        right = option.right == chosen if option.right or chosen else None
        marks.append(Mark(letter, right, verdict, option.why))
    return marks


def _score_matching(question: Matching, letters: str) -> list[Mark]:
    texts = dict(zip(ascii_uppercase, [choice.text for choice in choices(question)]))
    given = [texts[letter] for letter in letters]
    marks = []
    for pair, text in zip(question.pairs, given):
        verdict = f"“{pair.right}”" + ("" if text == pair.right else f", not “{text}”")
        marks.append(Mark(pair.left, text == pair.right, verdict, pair.why))
    for extra in question.extras:
        right = False if extra.text in given else None
        marks.append(Mark(extra.text, right, "belongs to none", extra.why))
    return marks


def _score_ordering(question: Ordering, letters: str) -> list[Mark]:
    texts = dict(zip(ascii_uppercase, [choice.text for choice in choices(question)]))
    places = {texts[letter]: place for place, letter in enumerate(letters, 1)}
    marks = []
    for place, item in enumerate(question.items, 1):
        right = places[item.text] == place
        verdict = f"place {place}" + ("" if right else f", not {places[item.text]}")
        marks.append(Mark(item.text, right, verdict, item.why))
    return marks


def _score_number(question: Numeric, number: float) -> list[Mark]:
    unit = f" {question.unit}" if question.unit else ""
    right = abs(number - question.answer) <= question.tolerance
    verdict = "right" if right else f"not right: it is {question.answer:g}{unit}"
    marks = [Mark(f"{number:g}{unit}", right, verdict, question.why)]
    for slip in question.slips:
        made = abs(number - slip.value) <= question.tolerance
        verdict = "the slip you made" if made else "a common slip"
        marks.append(Mark(f"{slip.value:g}{unit}", False if made else None, verdict, slip.why))
    return marks


def _letters(question: Choice | Matching | Ordering, answer: Answer) -> str:
    shown = ascii_uppercase[: len(choices(question))]
    letters = [c for c in str(answer).upper() if not c.isspace() and c not in ",;"]
    known = all(letter in shown for letter in letters)
    span = f"A to {shown[-1]}"
    if isinstance(question, Matching):
        fits, form = len(letters) == len(question.pairs), f"{len(question.pairs)} letters"
    elif isinstance(question, Ordering):
        fits, form = sorted(letters) == list(shown), "every letter once"
    elif question.type == "single":
        fits, form = len(letters) == 1, "one letter"
    else:
        fits, form = len(letters) > 0, "one letter or more"
    if not (known and fits):
        raise ValueError(f"the answer is {form} from {span}, not {answer!r}")
    return "".join(letters)


def _number(answer: Answer) -> float:
    try:
        number = float(answer)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"the answer is a number, such as 0.5 or 2e-3, not {answer!r}")
    return number
