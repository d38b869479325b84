"""A quiz and the marks of an answer as plain text and as HTML that runs nothing.

All text comes from data files that people write, so in HTML all of it is escaped.
"""

from html import escape
from string import ascii_uppercase

from alignlab.questions import Matching, Numeric, Question, Quiz, choices, solution
from alignlab.scoring import Result, score

_FORMS = {
    "single": "Choose one.",
    "multiple": "Choose all that apply.",
    "matching": "Give each line the letter of what belongs to it; some may belong to none.",
    "ordering": "Give each line its place, from 1 on.",
    "numeric": "Answer with a number such as 0.5 or 2e-3",
}
# Words say the same, so the signs may be missed.
_SIGNS = {True: "✓", False: "✗", None: "–"}
_HOW = """Answer with quiz.check(quiz.load("{chapter}"), number, answer). The answer is a number or
letters: "B" for a single choice, "AC" for several, one letter for each line in turn for
matching, all letters in the right order for ordering."""


def form(question: Question) -> str:
    """Return in one sentence how to answer."""
    if not isinstance(question, Numeric):
        return _FORMS[question.type]
    return _FORMS["numeric"] + (f", in {question.unit}." if question.unit else ".")


def to_text(quiz: Quiz) -> str:
    """Return the questions as plain text, without their answers."""
    lines = [f"{quiz.title} ({len(quiz.questions)} questions)", ""]
    for number, question in enumerate(quiz.questions, 1):
        case = [question.case] if question.case else []
        lines.append(" ".join([f"{number}.", *case, question.ask, form(question)]))
        if isinstance(question, Matching):
            lines += [f"   {place}. {pair.left}" for place, pair in enumerate(question.pairs, 1)]
        shown = zip(ascii_uppercase, choices(question))
        lines += [*(f"   {letter}  {choice.text}" for letter, choice in shown), ""]
    return "\n".join([*lines, _HOW.format(chapter=quiz.chapter)])


def marks_text(question: Question, result: Result) -> str:
    """Return what is right, part by part, and what to look at."""
    lines = [f"{_SIGNS[m.right]} {m.label}: {m.verdict}. {m.why}" for m in result.marks]
    return "\n".join([*lines, *([f"Look at: {question.see}."] if question.see else [])])


def to_html(quiz: Quiz, folded: bool) -> str:
    """Return the quiz with its answers folded, and the questions as well if ``folded``."""
    questions = "".join(
        f"<li>{question_html(question)}{_lefts_html(question)}{choices_html(question)}"
        "<details><summary>Answer</summary>"
        f"{marks_html(question, score(question, solution(question)))}</details></li>"
        for question in quiz.questions
    )
    # The classes keep MathJax from reading dollar signs as mathematics.
    return (
        f'<div class="al-quiz-page tex2jax_ignore mathjax_ignore">'
        f"<details{'' if folded else ' open'}><summary>{escape(quiz.title)} "
        f"{len(quiz.questions)} questions to read, with folded answers</summary>"
        f"<ol>{questions}</ol><p>{escape(_HOW.format(chapter=quiz.chapter))}</p></details></div>"
    )


def question_html(question: Question) -> str:
    """Return the case, what is asked and how to answer."""
    case = f"<p>{escape(question.case)}</p>" if question.case else ""
    return f"{case}<p><strong>{escape(question.ask)}</strong> {escape(form(question))}</p>"


def _lefts_html(question: Question) -> str:
    if not isinstance(question, Matching):
        return ""
    return f"<ol>{''.join(f'<li>{escape(pair.left)}</li>' for pair in question.pairs)}</ol>"


def choices_html(question: Question) -> str:
    """Return what the letters of a question stand for; nothing for a number."""
    if isinstance(question, Numeric):
        return ""
    items = "".join(f"<li>{escape(choice.text)}</li>" for choice in choices(question))
    return f'<ol type="A">{items}</ol>'


def marks_html(question: Question, result: Result) -> str:
    """Return what ``marks_text`` says."""
    items = "".join(
        f"<li>{_SIGNS[mark.right]} <strong>{escape(mark.label)}</strong>: "
        f"{escape(mark.verdict)}. {escape(mark.why)}</li>"
        for mark in result.marks
    )
    see = f"<p>Look at: {escape(question.see)}.</p>" if question.see else ""
    return f'<ul style="list-style:none;padding-left:1em">{items}</ul>{see}'
