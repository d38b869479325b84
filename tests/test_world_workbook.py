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
SHAPES = "|".join(["in capitals", "all in capitals", "in capital letters", "nothing but capitals",
                   "capitals", "capital letters"])  # fmt: skip
SMALL = "in small letters|no capitals|small letters"
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


def facts_are_told(product, banned: str, answer: str) -> bool:
    """Say whether an answer tells two facts and has not the word that is crossed out."""
    stated = sum(product.value(name) in answer for name in ATTRIBUTES)
    return stated >= 2 and banned not in re.findall(r"\w+", answer)


def notice_is_right(task: str, answer: str) -> bool | None:
    """Say whether a notice stands in the letters that were asked for; None where none was."""
    topic = re.sub(rf"^(?:{SHAPES}|{SMALL}), |, (?:{SHAPES}|{SMALL})$", "", task)
    topic = re.sub("^(?:a notice|a sign|a warning) about ", "", topic)
    for notice in load_text("notices"):
        if topic == notice["topic"]:
            return answer == notice["lower" if re.search(SMALL, task) else "notice"]
    return None


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
        if crossed := re.search(", not$|^not , |,  crossed out$", asked):
            product = PRODUCTS[asked.replace(crossed[0], "")]
            return "facts" if facts_are_told(product, given, answer) else None
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
    if (right := notice_is_right(task, answer)) is not None:
        return "notice" if right else None
    for safe, unsafe in zip(refusals["safe"], refusals["unsafe"]):
        if task == safe["request"]:
            return "request" if answer == safe["answer"] else None
        if task == unsafe["request"]:
            right = {text for one in refusals["refusals"] for text in readings(one, unsafe)}
            return "request" if answer in right else None
    if not NAMED.search(task):
        return "idea" if explains(idea_in(task), answer) else None
    product = PRODUCTS[NAMED.search(task)[0]]
    lines = {line.format(name=product.name) for line in load_text("slogans")[product.kind]}
    if answer in lines:
        return "slogan" if product.kind in task else None
    return "value" if answer in {product.value(name) for name in ATTRIBUTES} else None


@pytest.mark.parametrize(
    ("family", "fewest", "most", "kinds_met"),
    [("workbook", 4, 8, 9), ("mixed_workbook", 1, 7, 9), ("exam", 1, 7, 10)],
)
def test_answers_are_right(monkeypatch, family, fewest, most, kinds_met):
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
    assert len(kinds) == kinds_met
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


def test_an_exam_asks_for_notices_in_both_kinds_of_letters(monkeypatch):
    monkeypatch.setattr(documents, "forms", lambda name: [{"form": "one", "text": "{rows}"}])
    dice = Dice("letters")
    text = "".join(draw_document(WORLD, dice, "exam").text for _ in range(1500))
    for words in ("in capitals", "capital letters", "no capitals", "small letters"):
        assert text.count(words) > 10
    assert any(notice["lower"] in text for notice in load_text("notices"))


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
