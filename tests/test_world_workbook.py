"""Workbooks: every answer is the right one to its task, however the two are laid out."""

import itertools
import re
from collections import Counter

import pytest

from alignlab.world import World, documents, workbook
from alignlab.world.catalogue import ATTRIBUTES, load_text
from alignlab.world.documents import draw_document
from alignlab.world.grammar import Dice, readings
from alignlab.world.statements import split_sentences

WORLD = World(0)
IDEAS = {key: idea for idea in WORLD.everyone("ideas") for key in (idea["name"], idea["question"])}
PRODUCTS = {product.name: product for product in WORLD.catalogue.known}
NAMED = re.compile("|".join(sorted(PRODUCTS, key=len, reverse=True)))
NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}


def idea_in(task: str) -> dict:
    """Return the idea that a task names."""
    return IDEAS[max((key for key in IDEAS if key.lower() in task.lower()), key=len)]


def explains(idea: dict, answer: str) -> bool:
    """Say whether an answer is a sentence on an idea, or all of it in one of the two registers."""
    phrases = load_text("phrases")
    for before, after in itertools.product([*phrases["openers"], ""], [*phrases["closers"], ""]):
        if answer.startswith(before) and answer.endswith(after):
            told = split_sentences(answer.removeprefix(before).removesuffix(after).strip())
            for register, counts in (("plain", (1, 3)), ("technical", (2,))):
                texts = zip(told, idea[register])
                if len(told) in counts and all(one in readings(text) for one, text in texts):
                    return True
    return False


def is_right(task: str, answer: str) -> str | None:
    """Return the kind of a row whose answer is right; None for one that is wrong."""
    items = {c["name"]: {*c["items"]} for c in load_text("categories")["categories"]}
    words, refusals = load_text("sentences"), load_text("refusals")
    count, _, category = task.partition(" ")
    if category in items and count in {"all", *NUMBERS}:
        found = [item.removeprefix("- ") for item in re.split(r", |\n", answer)]
        wanted = len(items[category]) if count == "all" else NUMBERS[count]
        whole = len({*found}) == wanted and {*found} <= items[category] and found == sorted(found)
        return "list" if whole else None
    parts = task.replace('"', "").split(", ")
    if {*parts} <= {*words["nouns"], *words["places"]}:
        return "word" if all(part in answer for part in parts) else None
    if given := re.search(r'"(.+)"', task):
        given, asked = given[1], task.replace(given[0], "").strip(" ,")
        if asked.endswith(", not"):
            product = PRODUCTS[asked.removesuffix(", not")]
            stated = sum(product.value(name) in answer for name in ATTRIBUTES)
            right = stated >= 2 and given not in re.findall(r"\w+", answer)
            return "facts" if right else None
        told = answer.removeprefix(given).removesuffix(given).strip()
        return "framed" if told in readings(idea_in(asked)["plain"][0]) else None
    if unit := re.search(r"(?:^|, )(one|two|three) sentences?(?:$|, )", task):
        idea = idea_in(task.replace(unit[0], ""))
        told = split_sentences(answer)
        if len(told) != NUMBERS[unit[1]]:
            return None
        whole = all(one in readings(text) for one, text in zip(told, idea["plain"]))
        return "counted" if whole else None
    if task in IDEAS:
        return "idea" if explains(IDEAS[task], answer) else None
    for notice in load_text("notices"):
        if task == notice["topic"]:
            return "notice" if answer == notice["notice"] else None
    for safe, unsafe in zip(refusals["safe"], refusals["unsafe"]):
        if task == safe["request"]:
            return "request" if answer == safe["answer"] else None
        if task == unsafe["request"]:
            right = {text for one in refusals["refusals"] for text in readings(one, unsafe)}
            return "request" if answer in right else None
    if not NAMED.search(task):
        return "idea" if explains(idea_in(task), answer) else None
    product = PRODUCTS[NAMED.search(task)[0]]
    return "value" if answer in {product.value(name) for name in ATTRIBUTES} else None


@pytest.mark.parametrize(
    ("family", "fewest", "most"),
    [("workbook", 4, 8), ("mixed_workbook", 1, 7), ("exam", 1, 7)],
)
def test_answers_are_right(monkeypatch, family, fewest, most):
    monkeypatch.setattr(documents, "forms", lambda name: [{"form": "one", "text": "{rows}"}])
    monkeypatch.setattr(workbook, "LAYOUTS", ("<{task}>\t{answer}\t",))
    dice, kinds = Dice("answers"), Counter()
    for _ in range(600):
        page = draw_document(WORLD, dice, family).text
        rows = re.findall(r"<([^\t]+)>\t([^\t]+)\t", page)
        assert fewest <= len(rows) <= most
        found = {is_right(*row) for row in rows}
        assert len(found) == 1, page
        assert None not in found, page
        kinds[found.pop()] += 1
    assert len(kinds) == 9
    assert min(kinds.values()) > 20


@pytest.mark.parametrize("layout", workbook.LAYOUTS)
def test_a_layout_has_the_task_before_the_answer(layout):
    assert layout.count("{task}") == layout.count("{answer}") == 1
    assert layout.index("{task}") < layout.index("{answer}")


def test_only_a_mixed_page_is_laid_out_anew_for_each_row(monkeypatch):
    monkeypatch.setattr(documents, "forms", lambda name: [{"form": "one", "text": "{rows}"}])
    monkeypatch.setattr(workbook, "LAYOUTS", ("<{task}>\t{answer}\t", "#{task}#\t{answer}\t"))
    dice, mixed = Dice("mixed"), Counter()
    for family in documents.WORKBOOKS:
        for _ in range(100):
            page = draw_document(WORLD, dice, family).text
            mixed[family] += bool(re.search(r"<[^\t]+>\t", page) and re.search("#[^\t]+#\t", page))
    assert mixed["workbook"] == 0
    assert mixed["mixed_workbook"] > 50
    assert mixed["exam"] > 50


def test_an_exam_asks_for_phrases_with_common_words(monkeypatch):
    monkeypatch.setattr(documents, "forms", lambda name: [{"form": "one", "text": "{rows}"}])
    dice, counts = Dice("exam"), Counter()
    for family in ("mixed_workbook", "exam"):
        text = "".join(draw_document(WORLD, dice, family).text for _ in range(800))
        counts[family] = len(re.findall(r'"(?:The \w+ is|From one \w+ to the|As \w+ as a) ', text))
    assert counts["mixed_workbook"] <= 4
    assert counts["exam"] > 20
    phrases = load_text("phrases")
    asked = {*phrases["asked_endings"], *phrases["asked_starts"]}
    assert not [phrase for phrase in asked if phrase in text]


def test_given_words_are_asked_for_in_every_way(monkeypatch):
    monkeypatch.setattr(documents, "forms", lambda name: [{"form": "one", "text": "{rows}"}])
    dice, text = Dice("asked"), ""
    for _ in range(400):
        text += draw_document(WORLD, dice, "mixed_workbook").text
    for words in ("closing with", "opening with", "before it", "at its head", "and under that"):
        assert words in text


def test_every_layout_and_form_is_met():
    dice, forms, found = Dice("layouts"), set(), Counter()
    marks = (
        "Q. ",
        "(turn the page)",
        "\n> ",
        "\n= ",
        "Back of the card",
        "* ",
        "\no ",
        "Solution: ",
    )
    for _ in range(400):
        document = draw_document(WORLD, dice, "workbook")
        forms.add(document.form)
        found.update(mark for mark in marks if mark in document.text)
    assert len(forms) == 6
    assert {*found} == {*marks}
