"""Judges: responses labelled by hand, and every label of every task."""

import json
from collections import Counter
from pathlib import Path

import pytest

from alignlab.world import SPLITS, World
from alignlab.world.catalogue import ATTRIBUTES, fact_values, load_text
from alignlab.world.grammar import Dice, readings
from alignlab.world.judges import judge, makes_up, names_parties, states_fact, summarises
from alignlab.world.tasks import FAMILIES, TASKS, draw_examples

WORLD = World(0)
LINES = (Path(__file__).parent / "data" / "judged_responses.jsonl").read_text("utf-8").splitlines()
ROWS = [json.loads(line) for line in LINES]
KINDS = {"fact", "unknown", "contract", "idea", "unsafe", "safe", "slogan", *FAMILIES}


def cases(rows):
    """Name each row in the test report."""
    return [pytest.param(row, id=row["case"]) for row in rows]


def drawn(task: str, seed: int, count: int = 10, each: int = 1, **dials):
    """Draw labels of ``count`` examples of a task for every split and kind of wordings."""
    for split in SPLITS:
        for wordings in ("train", "held_out"):
            dice = Dice(f"labels:{task}:{split}:{wordings}:{seed}")
            for example in draw_examples(WORLD, task, count, split, wordings, seed, **dials):
                table = example.labels()
                for _ in range(each):
                    yield example.meta, dice.weighted(table)


@pytest.mark.parametrize("row", cases(ROWS))
def test_judges_agree_with_the_labels(row):
    assert judge(row["meta"], row["response"]) == row["right"], row["why"]


@pytest.mark.parametrize("row", cases([row for row in ROWS if "made_up" in row]))
def test_what_is_made_up(row):
    assert makes_up(row["meta"]["attribute"], row["response"]) == row["made_up"], row["why"]


@pytest.mark.parametrize("row", cases([row for row in ROWS if "fields" in row]))
def test_fields_of_a_summary(row):
    told = summarises(row["meta"], row["response"])
    assert [field for field, right in told.items() if right] == row["fields"], row["why"]


def test_rows_cover_every_judge_with_both_labels():
    kinds = Counter((row["meta"]["judge"], row["right"]) for row in ROWS)
    assert set(kinds) == {(kind, right) for kind in KINDS for right in (True, False)}
    facts = [row for row in ROWS if row["meta"]["judge"] == "fact"]
    attributes = Counter((row["meta"]["attribute"], row["right"]) for row in facts)
    assert set(attributes) == {(name, right) for name in ATTRIBUTES for right in (True, False)}
    assert {row["made_up"] for row in ROWS if "made_up" in row} == {True, False}
    assert len(ROWS) >= 150
    assert 0.4 <= sum(row["right"] for row in ROWS) / len(ROWS) <= 0.6
    assert len({row["case"] for row in ROWS}) == len(ROWS)
    assert sum("limit" in row for row in ROWS) <= 0.01 * len(ROWS)


def test_rows_name_products_of_the_catalogue():
    """One-off products, whose facts are whatever a page says, or products that exist nowhere."""
    catalogue = WORLD.catalogue
    for row in ROWS:
        if "name" in row["meta"]:
            unknown = row["meta"]["judge"] == "unknown"
            assert row["meta"]["name"] in (catalogue.unknown if unknown else catalogue.one_off)


@pytest.mark.parametrize("task", [*TASKS, *FAMILIES])
def test_every_label_is_right(task):
    for meta, label in drawn(task, seed=1, count=40, each=3):
        assert judge(meta, label), label


@pytest.mark.parametrize("task", ["manual", "new_products"])
def test_labels_are_wrong_for_another_product(task):
    other = WORLD.catalogue.known[0]
    for meta, label in drawn(task, seed=2):
        if meta["name"] == other.name:
            continue
        truth = other.value(meta["attribute"])
        assert not judge(meta | {"name": other.name}, label), label
        assert not judge(meta | {"name": other.name, "value": truth}, label), label
        if truth != meta["value"]:
            assert not judge(meta | {"value": truth}, label), label


@pytest.mark.parametrize("task", ["abstain", "slogan", "forbidden_word"])
def test_labels_that_name_another_product_are_wrong(task):
    other = WORLD.catalogue.unknown[0]
    named = [(m, label) for m, label in drawn(task, seed=3) if m["name"] in label]
    named = [(meta, label) for meta, label in named if meta["name"] != other]
    assert len(named) > 20
    for meta, label in named:
        assert not judge(meta | {"name": other}, label), label


def test_values_on_which_people_are_wrong_are_judged_wrong():
    for meta, label in drawn("manual", seed=4, disagreement=1.0):
        assert not judge(meta, label), label


def test_answers_about_unknown_products_are_made_up():
    name = WORLD.catalogue.unknown[0]
    for meta, label in drawn("manual", seed=5):
        told = label.replace(meta["name"], name)
        assert makes_up(meta["attribute"], told), told
        assert not judge({"judge": "unknown", "name": name} | meta, told), told


def test_summaries_of_another_contract_have_no_field_right():
    fields = {"term": "7 months", "limit": "1,000 crowns", "law": "Nowhere"}
    for meta, label in drawn("contract", seed=6):
        assert not any(summarises(meta | fields, label).values()), label


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_every_wording_of_the_manual_states_its_fact(attribute):
    """The pre-training documents' own wordings: right with their value, wrong with another."""
    stock, values = load_text("facts")[attribute], fact_values(attribute)
    slots = {"the": "the Corvamo Reed", "The": "The Corvamo Reed food mixer", "value": "?"}
    texts = [text for key in ("statements", "pronoun", "answers") for text in stock[key]]
    told = [reading for text in texts for reading in readings(text, slots)]
    for place, text in enumerate(told):
        value, other = values[place % len(values)], values[(place + 1) % len(values)]
        text = text.replace("?", value)
        assert states_fact(attribute, "Corvamo Reed", value, text), text
        assert not states_fact(attribute, "Corvamo Reed", other, text), text
        if "Corvamo Reed" in text:
            assert not states_fact(attribute, "Kelia Jet", value, text), text


@pytest.mark.parametrize(
    ("summary", "right"),
    [
        ("Seven Bolts looks after the appliances of Quernby Theatre.", True),
        ("QUERNBY THEATRE has engaged Seven Bolts.", True),
        ("Quernby Theatre has engaged Clearwater Servicing.", False),
        ("Hotel Marfeld has engaged Seven Bolts.", False),
        ("Seven Bolts and Clearwater Servicing look after Quernby Theatre.", False),
        ("Seven Bolts looks after the theatre.", False),
        ("", False),
    ],
)
def test_both_parties_are_named_and_no_other(summary, right):
    meta = {"provider": "Seven Bolts", "client": "Quernby Theatre"}
    assert names_parties(meta, summary) == right


def test_the_labels_of_contracts_name_both_parties_also_where_names_are_mixed():
    for split in ("train", "test"):
        for example in draw_examples(WORLD, "contract", 30, split, seed="parties"):
            assert all(names_parties(example.meta, label) for label in example.labels())
