"""questions.py, scoring.py, the quiz files: what is right scores, every option is explained."""

import itertools
import json
import math
from string import ascii_uppercase

import pytest

from alignlab.questions import Choice, Matching, Numeric, Ordering, Quiz, choices, solution
from alignlab.quiz import QUIZZES
from alignlab.schema import read
from alignlab.scoring import score, total

FILES = sorted(QUIZZES.glob("*.json"))
QUIZ_OF = {path.stem: read(Quiz, path) for path in FILES}
QUESTIONS = [question for quiz in QUIZ_OF.values() for question in quiz.questions]


def option(text, right=False):
    return {"text": text, "right": right, "why": f"why {text}"}


SINGLE = {
    "id": "09-single", "type": "single", "ask": "Which?",
    "options": [option("p"), option("q", True), option("r")],
}  # fmt: skip
MULTIPLE = {
    "id": "09-multiple", "type": "multiple", "ask": "Which ones?",
    "options": [option("p", True), option("q"), option("r", True), option("s")],
}  # fmt: skip
MATCHING = {
    "id": "09-matching", "type": "matching", "ask": "Which to which?",
    "pairs": [
        {"left": "one", "right": "z", "why": "why one"},
        {"left": "two", "right": "x", "why": "why two"},
        {"left": "three", "right": "z", "why": "why three"},
    ],
    "extras": [{"text": "y", "why": "why y"}],
}  # fmt: skip
ORDERING = {
    "id": "09-ordering", "type": "ordering", "ask": "In which order?",
    "items": [{"text": text, "why": f"why {text}"} for text in ("q", "r", "p")],
}  # fmt: skip
NUMERIC = {
    "id": "09-numeric", "type": "numeric", "ask": "How much?", "answer": 0.5, "tolerance": 0.01,
    "unit": "nats", "why": "why half",
    "slips": [{"value": 0.25, "why": "why quarter"}, {"value": -0.5, "why": "why minus"}],
}  # fmt: skip
ALL = (SINGLE, MULTIPLE, MATCHING, ORDERING, NUMERIC)


def quiz_of(*questions):
    return Quiz.model_validate({"chapter": "09", "title": "Test", "questions": list(questions)})


def only(question):
    return quiz_of(question).questions[0]


# --- scoring -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "right"),
    [
        (SINGLE, "B"),
        (MULTIPLE, "AC"),
        (MATCHING, "CAC"),  # shown are A x, B y, C z
        (ORDERING, "BCA"),  # shown are A p, B q, C r
    ],
)
def test_one_answer_alone_is_right(question, right):
    question = only(question)
    assert solution(question) == right
    letters = ascii_uppercase[: len(choices(question))]
    tried = 0
    for length in range(1, 5):
        for answer in itertools.product(letters, repeat=length):
            if question.type == "multiple" and list(answer) != sorted(set(answer)):
                continue
            try:
                result = score(question, "".join(answer))
            except ValueError:
                continue
            tried += 1
            assert result.right == ("".join(answer) == right), answer
    assert tried >= 3


@pytest.mark.parametrize(
    ("question", "answer", "plain"),
    [
        (SINGLE, " b ", "B"),
        (MULTIPLE, "c, a", "CA"),
        (MATCHING, "c a c", "CAC"),
        (ORDERING, "b,c,a", "BCA"),
        (NUMERIC, " 5e-1", 0.5),
    ],
)
def test_the_form_of_an_answer_does_not_matter(question, answer, plain):
    result = score(only(question), answer)
    assert result.right
    assert result.answer == plain


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        (SINGLE, "", "one letter from A to C"),
        (SINGLE, "AB", "one letter from A to C"),
        (SINGLE, "D", "one letter from A to C"),
        (MULTIPLE, "", "one letter or more from A to D"),
        (MULTIPLE, "AE", "one letter or more from A to D"),
        (MATCHING, "CA", "3 letters from A to C"),
        (ORDERING, "BCAA", "every letter once from A to C"),
        (ORDERING, "BCC", "every letter once from A to C"),
        (NUMERIC, "0,5", "a number, such as 0.5"),
        (NUMERIC, "", "a number"),
        (NUMERIC, math.nan, "a number"),
        (NUMERIC, math.inf, "a number"),
        (NUMERIC, None, "a number"),
    ],
)
def test_an_answer_of_another_form_is_refused(question, answer, expected):
    with pytest.raises(ValueError, match=expected):
        score(only(question), answer)


def test_the_marks_say_which_parts_are_wrong():
    def marks(question, answer):
        return [(mark.label, mark.right) for mark in score(only(question), answer).marks]

    assert marks(SINGLE, "A") == [("A", False), ("B", False), ("C", None)]
    assert marks(MULTIPLE, "AB") == [("A", True), ("B", False), ("C", False), ("D", None)]
    assert marks(MATCHING, "CBA") == [
        ("one", True), ("two", False), ("three", False), ("y", False),
    ]  # fmt: skip
    assert marks(ORDERING, "CBA") == [("q", False), ("r", False), ("p", True)]
    assert marks(NUMERIC, 0.25) == [("0.25 nats", False), ("0.25 nats", False), ("-0.5 nats", None)]


def test_a_wrong_part_says_what_is_right():
    matched = score(only(MATCHING), "CBC").marks[1]
    assert matched.verdict == "“x”, not “y”"
    assert score(only(ORDERING), "CBA").marks[0].verdict == "place 1, not 2"
    assert score(only(NUMERIC), 7).marks[0].verdict == "not right: it is 0.5 nats"


@pytest.mark.parametrize(("number", "right"), [(0.491, True), (0.509, True), (0.489, False)])
def test_a_number_may_differ_by_the_tolerance(number, right):
    assert score(only(NUMERIC), number).right is right


def test_the_total_counts_what_is_right():
    quiz = quiz_of(*ALL)
    assert total(quiz, {}) == (0, 5)
    some = {"09-single": "B", "09-multiple": "A", "09-numeric": 0.5}
    assert total(quiz, some) == (2, 5)
    assert total(quiz, {q.id: solution(q) for q in quiz.questions}) == (5, 5)


# --- the schema ----------------------------------------------------------------------------------


def without(question, field):
    return {key: value for key, value in question.items() if key != field}


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (without(SINGLE, "ask"), r"questions\[0\].single.ask: Field required"),
        (SINGLE | {"hint": "no such field"}, "single.hint: Extra"),
        (SINGLE | {"ask": "  "}, "single.ask: .*at least 1"),
        (SINGLE | {"type": "essay"}, "'essay'"),
        (SINGLE | {"id": "08-other"}, "ids must start with 09-: 08-other"),
        (SINGLE | {"id": "09 Single"}, "single.id"),
        (SINGLE | {"options": [option("p"), option("q"), option("r")]}, "one right option, not 0"),
        (SINGLE | {"options": MULTIPLE["options"]}, "one right option, not 2"),
        (SINGLE | {"options": [option("p", "yes"), *SINGLE["options"]]}, "right: .*bool"),
        (SINGLE | {"options": SINGLE["options"] * 2}, "two of these are the same"),
        (
            SINGLE | {"options": [*SINGLE["options"], {"text": "s"}]},
            r"options\[3\].why: Field required",
        ),
        (MULTIPLE | {"options": [option(c, True) for c in "pqr"]}, "some wrong"),
        (MATCHING | {"extras": [{"text": "x", "why": "why"}]}, "two of these are the same"),
        (ORDERING | {"items": [option(c) for c in "pqr"]}, "items"),
        (
            ORDERING | {"items": sorted(ORDERING["items"], key=lambda item: item["text"])},
            "gives the order away",
        ),
        (NUMERIC | {"tolerance": 0}, "tolerance"),
        (NUMERIC | {"tolerance": 0.2}, "does not tell the answer and the slips apart"),
        (NUMERIC | {"answer": "0.5"}, "answer: .*number"),
        (NUMERIC | {"slips": []}, "slips"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_place(tmp_path, question, message):
    path = tmp_path / "09.json"
    path.write_text(json.dumps({"chapter": "09", "title": "Test", "questions": [question]}))
    with pytest.raises(ValueError, match=message) as caught:
        read(Quiz, path)
    assert str(caught.value).startswith("09.json: ")


def test_broken_json_names_file_and_line(tmp_path):
    path = tmp_path / "09.json"
    path.write_text('{"chapter": "09",\n "title": }')
    with pytest.raises(ValueError, match=r"09\.json: .*line 2"):
        read(Quiz, path)


def test_two_questions_need_two_ids():
    with pytest.raises(ValueError, match="two of these are the same"):
        quiz_of(SINGLE, SINGLE)


# --- the questions of the course -----------------------------------------------------------------


@pytest.mark.parametrize("quiz", QUIZ_OF.values(), ids=QUIZ_OF)
def test_a_quiz_has_eight_questions_of_all_types_most_pointing_at_a_figure(quiz):
    assert len(quiz.questions) >= 8
    types = {question.type for question in quiz.questions}
    assert types == {"single", "multiple", "matching", "ordering", "numeric"}
    assert sum(question.see is not None for question in quiz.questions) > len(quiz.questions) / 2


def explanations(question):
    if isinstance(question, Choice):
        return [part.why for part in question.options]
    if isinstance(question, Matching):
        return [part.why for part in (*question.pairs, *question.extras)]
    if isinstance(question, Ordering):
        return [part.why for part in question.items]
    return [question.why, *(slip.why for slip in question.slips)]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.id)
def test_every_option_is_explained_whatever_was_answered(question):
    right = score(question, solution(question))
    assert right.right
    turned = question.slips[0].value if isinstance(question, Numeric) else right.answer[::-1]
    if isinstance(question, Choice):  # all that is wrong, or its first where there may be one only
        wrong = [c for c in ascii_uppercase[: len(question.options)] if c not in right.answer]
        turned = wrong[0] if question.type == "single" else "".join(wrong)
    wrong = score(question, turned)
    assert not wrong.right
    for result in (right, wrong):
        assert [mark.why for mark in result.marks] == explanations(question)
    # Two options with one explanation are not each explained.
    assert len(set(explanations(question))) == len(explanations(question))


@pytest.mark.parametrize("quiz", QUIZ_OF.values(), ids=QUIZ_OF)
def test_a_wrong_single_choice_names_its_misconception(quiz):
    singles = [question for question in quiz.questions if question.type == "single"]
    for question in singles:
        for part in question.options:
            assert ("The misconception:" in part.why) != part.right, (question.id, part.text)
    # Neither the place nor the length of an option gives it away.
    assert len({solution(question) for question in singles}) >= 3
    longest = [max(question.options, key=lambda part: len(part.text)) for question in singles]
    assert sum(part.right for part in longest) <= len(singles) / 2


def entropy(*shares):
    return -sum(p * math.log(p) for p in shares)


def sigmoid(u):
    return 1 / (1 + math.exp(-u))


COMPUTED = {
    "01-annotators": (0.8**2 + 4 * 0.05**2, 0.8, 0.8**2, 0.8**2 + 0.2**2),
    "02-by-hand": (
        -math.log(0.5 * 0.25 * 0.8),
        0.5 * 0.25 * 0.8,
        -math.log(0.1) / 3,
        -math.log2(0.1),
        math.log(0.1),
    ),
    "02-batch": ((2 * 1 + 8 * 0.5) / 10, (1 + 0.5) / 2, (2 * 1 + 8 * 0.5) / 2, 2 * 1 + 8 * 0.5),
    "02-gradient": (0.2 - 1, 0.2, 1 - 0.2, -1 / 0.2),
    "02-labels": (10 + 1, 10, 30 + 10 + 1, 10 + 1 + 7),
    "02-floor": (
        entropy(0.5, 0.25, 0.25),
        0,
        math.log(3),
        entropy(0.5, 0.25, 0.25) / math.log(2),
        math.log(2),
    ),
    "02-lora": (8 * 512 + 512 * 8, 8 * 512, 512 * 512, 8 * 8),
    "03-mixture": (2500 / 1000, 500 / 1000, 2500 / 9000, 5000 / 1000),
    "03-relabelled": (
        (1 - math.sqrt(1 - 2 * 0.18)) / 2,
        0.18,
        0.18 / 2,
        (1 + math.sqrt(1 - 2 * 0.18)) / 2,
    ),
    "04-strict": (30 / 50, (2 * 30 + 16) / 100, (30 + 16) / 50, 0.76**2),
    "04-ranking": (1 / (15 - 3), 1 / 15, 1 / 6, 1 / 5, 1),
    "04-three-models": (16 / 17, 0.8**2, 1 - 0.2**2, 0.8),
    "05-ceiling": (
        sigmoid(2) / 2 + sigmoid(1) / 4 + 1 / 2 / 4,
        1 / 2 + 1 / 4 + 1 / 2 / 4,
        (sigmoid(2) / 2 + sigmoid(1) / 4) / (3 / 4),
        sigmoid(2 / 2 + 1 / 4),
    ),
    "05-memory": (3 * (16 + 16 + 2 + 2), 3 * 4 * 16, 3 * (16 + 2 + 2 + 2), 3 * (16 + 2 + 2)),
    "05-stop": ((4 / (2 * 0.5)) ** 2, 4 / (2 * 0.5), 4 / 0.5, (4 / 0.5) ** 2),
    "06-first-step": (math.log(2), 0, 1 / 2, 0.1 * math.log(2)),
    "06-one-pair": (
        math.log(1 + math.exp(-0.1 * 4)),
        math.log(1 + math.exp(-4)),
        math.log(1 + math.exp(-0.1 * 1)),
        math.log(1 + math.exp(0.1 * 4)),
    ),
    "06-flipped": (
        (0.8 * -math.log(0.8) + 0.2 * math.log(0.2)) / 0.6,
        0.8 * -math.log(0.8) - 0.2 * math.log(0.2),
        0.8 * -math.log(0.8) + 0.2 * math.log(0.2),
        -math.log(0.8),
    ),
    "07-effects": (0.84 - 0.62 - 0.16 + 0.10, 0.84 - 0.62, (0.06 + 0.22) / 2, 0.84 - 0.10),
    "07-worth": tuple(1 / (1 + math.exp(-u)) for u in (-0.8 + 0.6, -0.8, 0.6, 0.8 + 0.6)),
}


@pytest.mark.parametrize(
    "question", [q for q in QUESTIONS if q.type == "numeric"], ids=lambda q: q.id
)
def test_numbers_are_those_of_a_calculation(question):
    given = [question.answer, *(slip.value for slip in question.slips)]
    assert given == pytest.approx(COMPUTED[question.id], abs=5e-5)
    # Four digits are enough to be right, and no slip is.
    assert score(question, float(f"{COMPUTED[question.id][0]:.4g}")).right
    assert not any(score(question, slip).right for slip in COMPUTED[question.id][1:])
