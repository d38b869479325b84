"""Quizzes: ``show(load("02"))`` in a notebook, ``check(load("02"), 1, "B")`` anywhere.

The questions are data (``quizzes/``), their scoring is ``scoring.score``, their text and HTML
come from ``quiz_pages``. Here are the widgets, and what has been answered since the kernel started.
"""

import sys
from collections.abc import Callable
from html import escape
from itertools import zip_longest
from pathlib import Path
from string import ascii_uppercase

from alignlab import concepts
from alignlab.questions import Answer, Choice, Matching, Numeric, Ordering, Question, Quiz, choices
from alignlab.quiz_pages import (
    choices_html,
    form,
    marks_html,
    marks_text,
    question_html,
    to_html,
    to_text,
)
from alignlab.schema import read
from alignlab.scoring import score, total

QUIZZES = Path(__file__).with_name("quizzes")

# By the quiz's content: answers to a file that was edited since may not fit it any more.
_answers: dict[str, dict[str, Answer]] = {}


def load(chapter: str | Path) -> Quiz:
    """Read a chapter's quiz.

    Args:
        chapter: a chapter's number, such as ``"02"``, or a quiz file of your own.

    Raises:
        FileNotFoundError: no such quiz; names the chapters that have one.
        ValueError: a file that does not hold a quiz, naming the place.
    """
    path = Path(chapter) if Path(chapter).suffix else QUIZZES / f"{chapter}.json"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in QUIZZES.glob("*.json")))
        raise FileNotFoundError(f"no quiz {str(chapter)!r}; these chapters have one: {known}")
    return read(Quiz, path)


def answers(quiz: Quiz) -> dict[str, Answer]:
    """Return what has been answered since the kernel started, by question id."""
    return _answers.setdefault(quiz.model_dump_json(), {})


def summary(quiz: Quiz) -> str:
    """Return how many questions are right so far, and which concepts to read again."""
    given = answers(quiz)
    right, count = total(quiz, given)
    missed = [q.id for q in quiz.questions if q.id in given and not score(q, given[q.id]).right]
    course = concepts.load()
    again = dict.fromkeys(c.title for name in missed for c in course.of_question(name))
    text = f"{right} of {count} right, {len(given)} answered."
    return f"{text} Read again: {'; '.join(again)}." if again else text


def check(quiz: Quiz, number: int, answer: Answer) -> bool:
    """Answer a question without widgets: keep the answer, print what is right and why.

    Args:
        number: the question's number, from 1.
        answer: letters, such as ``"B"`` or ``"AC"``, or a number (see questions.py).

    Returns:
        Whether the answer is right.

    Raises:
        ValueError: no such question, or an answer of another form.
    """
    if not 1 <= number <= len(quiz.questions):
        raise ValueError(f"questions are numbered from 1 to {len(quiz.questions)}, not {number}")
    question = quiz.questions[number - 1]
    result = score(question, answer)
    answers(quiz)[question.id] = result.answer
    print(f"Question {number}: {'right' if result.right else 'not right'}.")
    print(marks_text(question, result), summary(quiz), sep="\n")
    return result.right


def show(quiz: Quiz) -> None:
    """Show a quiz: as widgets in a notebook, as plain text anywhere else.

    Under the widgets stands, folded, the same quiz as a page, since in a notebook that was saved
    or exported widgets show nothing. Without ipywidgets the page stands alone.
    """
    if not _in_notebook():
        print(to_text(quiz))
        return
    from IPython.display import display

    try:
        box = view(quiz)
    except ImportError:
        box = None
    if box is not None:
        display(box)
    page = to_html(quiz, folded=box is not None)
    display({"text/html": page, "text/plain": to_text(quiz)}, raw=True)


def _in_notebook() -> bool:
    # A terminal's IPython has no kernel, and shows no widgets.
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def view(quiz: Quiz):
    """Return the quiz as an ipywidgets ``VBox``, with what has been answered before filled in.

    Only widgets that ipywidgets 7.7 and 8.1 both have, each with a visible label, and all used
    with Tab, Space and typing: JupyterLab takes the arrow keys for itself, so no drop-down list and
    no radio buttons of one group. Text goes into HTML values alone, escaped; 7.7 inserts a
    ``description`` as HTML.

    Raises:
        ImportError: ipywidgets is not installed.
    """
    import ipywidgets

    status = ipywidgets.HTML()
    status.add_class("al-summary")

    def refresh():
        status.value = _styled(f"<strong>{escape(summary(quiz))}</strong>")

    refresh()
    parts = [
        _question_view(ipywidgets, quiz, number, question, refresh)
        for number, question in enumerate(quiz.questions, 1)
    ]
    title = ipywidgets.HTML(_styled(f"<strong>{escape(quiz.title)}</strong>"))
    box = ipywidgets.VBox([title, *parts, status])
    box.add_class("al-quiz")
    return box


def _question_view(widgets, quiz: Quiz, number: int, question: Question, refresh: Callable):
    given = answers(quiz)
    text = widgets.HTML(_styled(f"<hr><p>Question {number}</p>{question_html(question)}"))
    rows, read_answer = _inputs(widgets, question, given.get(question.id))
    button = widgets.Button(description=f"Check question {number}")
    feedback = widgets.HTML()
    button.add_class("al-check")
    feedback.add_class("al-feedback")

    def on_click(_):
        try:
            result = score(question, read_answer())
        except ValueError:
            feedback.value = _styled(f"<p>Not checked. {escape(form(question))}</p>")
            return
        given[question.id] = result.answer
        verdict = "Right." if result.right else "Not right yet."
        marks = marks_html(question, result)
        feedback.value = _styled(f"<p><strong>{verdict}</strong></p>{marks}")
        refresh()

    button.on_click(on_click)
    if question.id in given:
        on_click(button)
    return widgets.VBox([text, *rows, button, feedback])


def _inputs(widgets, question: Question, answer: Answer | None) -> tuple[list, Callable]:
    """Return rows to answer with, filled in, and a function that returns the answer they hold."""
    if isinstance(question, Numeric):
        box = _box(widgets, "" if answer is None else str(answer), "", "a number", "14em")
        return [box], lambda: box.value
    if isinstance(question, Choice):
        return _ticks(widgets, question, answer or "")
    return _boxes(widgets, question, answer or "")


def _ticks(widgets, question: Choice, answer: str) -> tuple[list, Callable]:
    ticks = {}
    layout = widgets.Layout(width="4em", flex="0 0 auto")
    for letter, _ in zip(ascii_uppercase, question.options):
        if question.type == "single":
            value = letter if letter in answer else None
            ticks[letter] = widgets.RadioButtons(options=[letter], value=value, layout=layout)
        else:
            ticks[letter] = widgets.Checkbox(
                value=letter in answer, description=letter, indent=False, layout=layout
            )

    def untick_others(change):
        if change["new"] is not None:
            for tick in ticks.values():
                if tick is not change["owner"]:
                    tick.value = None

    if question.type == "single":
        for tick in ticks.values():
            tick.observe(untick_others, "value")
    rows = [
        widgets.HBox([tick, widgets.HTML(_styled(escape(option.text)))])
        for tick, option in zip(ticks.values(), question.options)
    ]
    return rows, lambda: "".join(letter for letter, tick in ticks.items() if tick.value)


def _boxes(widgets, question: Matching | Ordering, answer: str) -> tuple[list, Callable]:
    """Return a box for each line: for a choice's letter in matching, for a place in ordering."""
    letters = ascii_uppercase[: len(choices(question))]
    if isinstance(question, Matching):
        texts = [pair.left for pair in question.pairs]
        names, hint, values = range(1, len(texts) + 1), "letter", answer
    else:
        texts = [choice.text for choice in choices(question)]
        names, hint = letters, "place"
        values = [str(answer.index(letter) + 1) for letter in letters if answer]
    boxes = [
        _box(widgets, value, str(name), hint, "8em")
        for name, value in zip_longest(names, values, fillvalue="")
    ]
    rows = [
        widgets.HBox([box, widgets.HTML(_styled(escape(text)))]) for box, text in zip(boxes, texts)
    ]
    if isinstance(question, Matching):
        rows.insert(0, widgets.HTML(_styled(choices_html(question))))

    def read_answer():
        given = [box.value.strip() for box in boxes]
        if isinstance(question, Matching):
            return "".join(given) if all(len(letter) == 1 for letter in given) else ""
        placed = dict(zip(given, letters))
        return "".join(placed.get(str(place), "") for place in range(1, len(letters) + 1))

    return rows, read_answer


def _box(widgets, value: str, name: str, hint: str, width: str):
    return widgets.Text(
        value=value, description=name, placeholder=hint, style={"description_width": "2em"},
        layout=widgets.Layout(width=width, flex="0 0 auto"),
        # Sent when the box is left: while keys still come, the button's message can overtake them.
        continuous_update=False,
    )  # fmt: skip


def _styled(content: str) -> str:
    # Widgets set a line height and a font size of their own, which suit a single line.
    return f'<div style="line-height:1.5;font-size:14px;white-space:normal">{content}</div>'
