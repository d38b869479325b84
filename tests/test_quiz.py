"""quiz.py, quiz_pages.py: widgets or text take the answers, and nothing of a quiz becomes markup.

The tests run on ipywidgets 8.1 and 7.7 alike; they use what both have.
"""

import builtins
import json
from html import unescape
from html.parser import HTMLParser
from types import SimpleNamespace

import ipywidgets
import pytest
from IPython import display

from alignlab import quiz
from alignlab.questions import Quiz, solution
from alignlab.quiz_pages import to_html, to_text

HOSTILE = (
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "</textarea></li></details></div></style>",
    "&#x3c;script&#x3e; &lt;b&gt; &amp;",
    "\"' onload='x' <!-- --> <![CDATA[ ]]>",
)
TAGS = {"details", "div", "hr", "li", "ol", "p", "strong", "summary", "ul"}


def marked(prefix):
    """Return a function that makes texts, no two alike, each with hostile markup in it."""
    count = iter(range(100))
    return lambda: f"{prefix}{(n := next(count)):02} {HOSTILE[n % len(HOSTILE)]}"


def make_quiz(text):
    def explained(**fields):
        return {"text": text(), "why": text(), **fields}

    questions = [
        {"type": "single", "options": [explained(right=n == 1) for n in range(3)]},
        {"type": "multiple", "options": [explained(right=n != 1) for n in range(3)]},
        {
            "type": "matching",
            "pairs": [{"left": text(), "right": text(), "why": text()} for _ in range(3)],
            "extras": [explained()],
        },
        {"type": "ordering", "items": [explained() for _ in range(3)][::-1]},
        {
            "type": "numeric", "answer": 0.5, "tolerance": 0.01, "unit": text(), "why": text(),
            "slips": [{"value": value, "why": text()} for value in (1.0, 2.0)],
        },
    ]  # fmt: skip
    for question in questions:
        question |= {"id": f"09-{question['type']}", "case": text(), "ask": text(), "see": text()}
    return Quiz.model_validate({"chapter": "09", "title": text(), "questions": questions})


@pytest.fixture
def course():
    """A quiz of all five types that no test has answered."""
    quiz._answers.clear()
    return make_quiz(marked("text"))


class Page(HTMLParser):
    """The text of a page; any element but the plain ones, or any attribute that runs, fails."""

    def __init__(self, page):
        super().__init__()
        self.text, self.opened, self.open_details = "", [], 0
        self.feed(page)
        self.close()
        assert not self.opened

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS
        assert {name for name, _ in attrs} <= {"class", "open", "style", "type"}
        self.open_details += tag == "details" and ("open", None) in attrs
        if tag != "hr":
            self.opened.append(tag)

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    unknown_decl = handle_comment


def texts(part):
    """Return every text of a quiz."""
    if isinstance(part, dict):
        part = list(part.values())
    if isinstance(part, list):
        return [text for value in part for text in texts(value)]
    return [part] if isinstance(part, str) and part.startswith("text") else []


def tree(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from tree(child)


def inputs(question_box):
    kinds = (ipywidgets.RadioButtons, ipywidgets.Checkbox, ipywidgets.Text)
    return [widget for widget in tree(question_box) if isinstance(widget, kinds)]


def with_class(box, name):
    return [widget for widget in tree(box) if name in getattr(widget, "_dom_classes", ())]


def questions(box):
    """Return the box of each question by its type."""
    types = ("single", "multiple", "matching", "ordering", "numeric")
    return dict(zip(types, box.children[1:-1]))


def fill(question_box, values):
    for widget, value in zip(inputs(question_box), values):
        widget.value = value


def press(question_box):
    """Press the button of a question and return what it then says."""
    (button,), (feedback,) = (with_class(question_box, f"al-{n}") for n in ("check", "feedback"))
    button.click()
    return Page(feedback.value).text


def state(box):
    return [widget.value for widget in inputs(box)]


# What to enter, in widgets and as text, to answer each question of ``make_quiz`` rightly, wrongly.
RIGHT = {
    "single": ([None, "B", None], "B"),
    "multiple": ([True, False, True], "AC"),
    "matching": (["A", "b ", "C"], "ABC"),
    "ordering": (["3", " 2", "1"], "CBA"),
    "numeric": (["0.5"], 0.5),
}
WRONG = {
    "single": (["A", None, None], "A"),
    "multiple": ([True, True, True], "ABC"),
    "matching": (["A", "A", "D"], "AAD"),
    "ordering": (["1", "3", "2"], "ACB"),
    "numeric": (["2"], 2.0),
}


# --- files ---------------------------------------------------------------------------------------


def test_load_finds_a_chapter():
    loaded = quiz.load("02")
    assert loaded.chapter == "02"
    assert loaded.questions[0].id == "02-steps"


def test_a_chapter_without_a_quiz_is_named_with_those_that_have_one():
    with pytest.raises(FileNotFoundError, match=r"'99'.*01, 02"):
        quiz.load("99")


def test_load_takes_a_file_of_your_own(tmp_path, course):
    path = tmp_path / "mine.json"
    path.write_text(course.model_dump_json())
    assert quiz.load(path) == course
    path.write_text(json.dumps({"chapter": "09", "title": "Test"}))
    with pytest.raises(ValueError, match=r"mine\.json: questions: Field required"):
        quiz.load(str(path))


# --- widgets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", RIGHT)
def test_widgets_score_and_explain_every_option(course, kind):
    box = quiz.view(course)
    question = next(q for q in course.questions if q.type == kind)
    part = questions(box)[kind]
    for values, right in ((WRONG[kind], False), (RIGHT[kind], True)):
        fill(part, values[0])
        said = press(part)
        assert said.startswith("Right." if right else "Not right yet.")
        assert quiz.answers(course) == {question.id: values[1]}
        every_why = {p["why"] for p in json_parts(question)}
        assert len(every_why) >= 3
        assert all(why in said for why in every_why)
        assert f"Look at: {question.see}." in said
        (status,) = with_class(box, "al-summary")
        assert f"{int(right)} of 5 right, 1 answered." in status.value


def json_parts(question):
    """Return every part of a question that has an explanation."""
    fields = question.model_dump()
    lists = [value for value in fields.values() if isinstance(value, list)]
    return [part for parts in lists for part in parts] + ([fields] if "why" in fields else [])


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("single", []),
        ("multiple", []),
        ("matching", ["A", "", "B"]),
        ("matching", ["A", "", "BC"]),
        ("matching", ["A", "E", "B"]),
        ("ordering", ["1", "2", "2"]),
        ("ordering", ["1", "2", ""]),
        ("ordering", ["0", "1", "2"]),
        ("numeric", ["a half"]),
        ("numeric", [""]),
    ],
)
def test_an_unfinished_answer_is_not_scored(course, kind, values):
    part = questions(quiz.view(course))[kind]
    fill(part, values)
    assert press(part).startswith("Not checked.")
    assert quiz.answers(course) == {}


def test_one_option_of_a_single_choice_is_chosen_at_a_time(course):
    part = questions(quiz.view(course))["single"]
    first, second, third = inputs(part)
    for chosen in (first, third, second):
        (chosen.value,) = chosen.options
        assert [tick.value for tick in (first, second, third) if tick.value] == [chosen.value]


def test_answers_live_as_long_as_the_kernel(course):
    box = quiz.view(course)
    for kind, part in questions(box).items():
        fill(part, (WRONG if kind == "ordering" else RIGHT)[kind][0])
        press(part)
    again = quiz.view(course)
    plain = [v.strip().upper() if isinstance(v, str) else v for v in state(box)]
    assert state(again) == plain
    for widgets in zip(with_class(box, "al-feedback"), with_class(again, "al-feedback")):
        assert widgets[0].value == widgets[1].value != ""
    assert "4 of 5 right, 5 answered." in with_class(again, "al-summary")[0].value
    # Another quiz, or this one after an edit, starts empty.
    edited = course.model_copy(update={"title": "edited"})
    assert "0 of 5 right, 0 answered." in with_class(quiz.view(edited), "al-summary")[0].value


def test_the_summary_names_the_concepts_to_read_again():
    quiz._answers.clear()
    loaded = quiz.load("02")
    assert "Read again" not in quiz.summary(loaded)
    for question in loaded.questions:
        quiz.answers(loaded)[question.id] = solution(question)
    assert quiz.summary(loaded) == f"{len(loaded.questions)} of 13 right, 13 answered."
    quiz.answers(loaded)["02-kl"] = "A"
    assert quiz.summary(loaded).endswith(" Read again: Likelihood and KL divergence.")


def test_the_keyboard_reaches_every_input_and_each_has_a_label(course):
    for kind, part in questions(quiz.view(course)).items():
        controls = [*inputs(part), *with_class(part, "al-check")]
        assert len(controls) == {"single": 4, "multiple": 4, "matching": 4, "ordering": 4}.get(
            kind, 2
        )
        for widget in controls:
            assert not widget.disabled
            # Taken out of the tab order only by an explicit False, which 7.7 does not have.
            assert getattr(widget, "tabbable", None) is not False
            # Arrow keys and letters belong to JupyterLab unless they are typed into a box.
            if isinstance(widget, ipywidgets.RadioButtons):
                assert len(widget.options) == 1
            else:
                assert (widget.description or widget.placeholder).strip()
            if isinstance(widget, ipywidgets.Text):
                assert not widget.continuous_update
        press(part)
        assert not any(widget.disabled for widget in controls)


# --- escaping ------------------------------------------------------------------------------------


def test_nothing_of_a_quiz_becomes_markup_in_widgets(course):
    box = quiz.view(course)
    for kind, part in questions(box).items():
        fill(part, WRONG[kind][0])
        press(part)
    shown = ""
    for widget in tree(box):
        if isinstance(widget, ipywidgets.HTML):
            shown += Page(widget.value).text
        # 7.7 puts descriptions into the page as HTML.
        description = getattr(widget, "description", "")
        assert "text" not in description
    every = texts(course.model_dump())
    assert len(every) > 30
    assert [text for text in every if text not in shown] == []


@pytest.mark.parametrize("folded", [True, False])
def test_nothing_of_a_quiz_becomes_markup_in_the_page(course, folded):
    page = Page(to_html(course, folded))
    assert [text for text in texts(course.model_dump()) if text not in page.text] == []
    # The questions are open or folded; the answers are always folded.
    assert page.open_details == (not folded)


# --- without widgets -----------------------------------------------------------------------------


def test_text_has_the_questions_and_not_the_answers(course):
    text = to_text(course)
    for question in course.questions:
        assert question.case in text
        assert question.ask in text
        assert not any(part["why"] in text for part in json_parts(question))
    assert "   1. " in text
    assert "   D  " in text
    assert 'quiz.check(quiz.load("09"), number, answer)' in text


@pytest.mark.parametrize("number", range(1, 6))
def test_check_scores_explains_and_keeps_an_answer(course, capsys, number):
    kind = list(RIGHT)[number - 1]
    question = course.questions[number - 1]
    assert quiz.check(course, number, RIGHT[kind][1]) is True
    assert quiz.check(course, number, str(WRONG[kind][1]).lower()) is False
    assert quiz.answers(course) == {question.id: WRONG[kind][1]}
    right, wrong = capsys.readouterr().out.split(f"Question {number}: ")[1:]
    assert right.startswith("right.")
    assert wrong.startswith("not right.")
    assert "1 of 5 right, 1 answered." in right
    assert "0 of 5 right, 1 answered." in wrong
    for part in json_parts(question):
        assert part["why"] in right
        assert part["why"] in wrong
    # The widgets take over what was answered as text.
    assert state(questions(quiz.view(course))[kind]) in (
        WRONG[kind][0], [str(WRONG[kind][1])],
    )  # fmt: skip


@pytest.mark.parametrize("number", [0, 6])
def test_check_names_the_numbers_that_there_are(course, number):
    with pytest.raises(ValueError, match=f"from 1 to 5, not {number}"):
        quiz.check(course, number, "A")


def test_outside_a_notebook_show_prints_the_text(course, capsys):
    quiz.show(course)
    assert capsys.readouterr().out == to_text(course) + "\n"


@pytest.fixture
def notebook(monkeypatch):
    """What is displayed, in order, as if in a notebook."""
    shown = []
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setattr(display, "display", lambda data, raw=False: shown.append(data))
    return shown


def test_in_a_notebook_show_displays_widgets_and_the_page(course, notebook, capsys):
    quiz.show(course)
    box, page = notebook
    assert isinstance(box, ipywidgets.VBox)
    assert page == {"text/html": to_html(course, folded=True), "text/plain": to_text(course)}
    assert capsys.readouterr().out == ""


def test_without_ipywidgets_show_displays_the_open_page(course, notebook, monkeypatch):
    real = builtins.__import__

    def no_ipywidgets(name, *arguments):
        if name == "ipywidgets":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", no_ipywidgets)
    quiz.show(course)
    (page,) = notebook
    assert page["text/html"] == to_html(course, folded=False)


@pytest.mark.slow
def test_a_notebook_that_was_executed_and_exported_can_be_read(tmp_path):
    """Executed by nbclient and exported by nbconvert, with no widgets' state in the file."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    nbconvert = pytest.importorskip("nbconvert")
    code = "from alignlab import quiz\nquiz.show(quiz.load('02'))"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    client = nbclient.NotebookClient(notebook, timeout=120, store_widget_state=False)
    client.execute(cwd=str(tmp_path))
    widget, page = notebook.cells[0].outputs
    assert "application/vnd.jupyter.widget-view+json" in widget.data
    assert page.data["text/plain"] == to_text(quiz.load("02"))
    for exporter in (nbconvert.HTMLExporter(), nbconvert.MarkdownExporter()):
        body, _ = exporter.from_notebook_node(notebook)
        assert unescape(to_html(quiz.load("02"), folded=True)) in unescape(body)
