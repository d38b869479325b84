"""Ledgers, drills, notes on clauses: true, whole, no more surprising than what is new in them."""

import math
import re
from collections import Counter

from alignlab.world import World, documents, drills
from alignlab.world.catalogue import ATTRIBUTES, load_text
from alignlab.world.contracts import LIMITS, TERMS, draw_terms
from alignlab.world.documents import draw_document
from alignlab.world.drills import practice_words
from alignlab.world.grammar import Dice

WORLD = World(0)


def test_ledgers_state_what_the_catalogue_has():
    known, dice, told = {p.name: p for p in WORLD.catalogue.known}, Dice("ledger"), Counter()
    attributes = {load_text("facts")[attribute]["noun"]: attribute for attribute in ATTRIBUTES}
    for _ in range(200):
        text = draw_document(WORLD, dice, "ledger").text
        for name, noun, value in re.findall(r"^(\w+ \w+), ([\w ]+): (.+)$", text, re.MULTILINE):
            assert known[name].value(attributes[noun]) == value, text
            told[attributes[noun]] += 1
    assert set(told) == set(ATTRIBUTES)


def drawn_as(monkeypatch, family: str, text: str, seed: int):
    """Draw one document of a family as if it had a form with this text alone."""
    with monkeypatch.context() as patch:
        patch.setattr(documents, "forms", lambda name: [{"form": "one", "text": text}])
        return draw_document(WORLD, Dice(f"drawn as:{seed}"), family)


def test_every_drill_holds_its_rows_twice():
    dice, orders = Dice("drills"), Counter()
    for _ in range(400):
        document = draw_document(WORLD, dice, "drill")
        form = document.form.removeprefix("drill/")
        if form == "typing_class":
            _, *rows = document.text.split("\n")
            assert len(rows) == 4
            assert len(set(rows)) == 1, document
            assert 8 <= len(rows[0].split(" ")) <= 40
            assert set(rows[0].split(" ")) <= set(practice_words())
            continue
        headings = 0 if form == "ledger_copied" else 1
        first, second = (part.split("\n")[headings:] for part in document.text.split("\n\n"))
        assert sorted(first) == sorted(second), document
        assert len(set(first)) == len(first) >= 2, document
        orders[first == second] += 1
    assert orders[False] > orders[True] > 0


def test_a_copybook_holds_every_line_again():
    dice, lengths = Dice("copybooks"), Counter()
    for _ in range(300):
        document = draw_document(WORLD, dice, "copybook")
        lines = Counter(line for line in document.text.split("\n") if line)
        copied = {line: count for line, count in lines.items() if count > 1}
        lengths[len(copied)] += 1
        # What stands there once is the form's own: headings, who dictates, a remark at the end.
        assert len(lines) - len(copied) <= 3, document
        assert set(copied.values()) <= {2, 3}, document
    assert set(lengths) == {1, 2, 3, 4}


def test_a_second_copy_surprises_by_its_order_only(monkeypatch):
    """What is known from the page costs no nats, so nats per token stay a floor of the loss."""
    for seed in range(20):
        once = drawn_as(monkeypatch, "drill", "{words}", seed)
        four = drawn_as(monkeypatch, "drill", "{words}\n{words}\n{words}\n{words}", seed)
        assert four.text == "\n".join([once.text] * 4)
        assert four.nats == once.nats
        for rows in ("ledger", "lines"):
            once = drawn_as(monkeypatch, "drill", f"{{{rows}}}", seed)
            twice = drawn_as(monkeypatch, "drill", f"{{{rows}}}\n{{again}}", seed)
            orders = math.lgamma(len(once.text.split("\n")) + 1)  # log(n!)
            assert twice.text.startswith(once.text + "\n")
            assert abs(twice.nats - once.nats - orders) < 1e-9


def test_nats_of_a_ledger_by_hand(monkeypatch):
    """How many products, which, in what order; for each how many of the facts, which; the order."""
    for seed in range(20):
        page = drawn_as(monkeypatch, "ledger", "{ledger}", seed)
        lines = page.text.split("\n")
        facts = Counter(line.split(",")[0] for line in lines)
        nats = math.log(3) + math.lgamma(len(lines) + 1)
        nats += sum(math.log(384 - i) for i in range(len(facts)))
        for count in facts.values():
            nats += math.log(4) + sum(math.log(8 - i) for i in range(count))
        assert abs(page.nats - nats) < 1e-9


def test_a_note_says_what_its_clauses_say():
    dice, counts, forms = Dice("clauses"), Counter(), set()
    for _ in range(400):
        document = draw_document(WORLD, dice, "clause")
        forms.add(document.form)
        noted = 0
        for values in (TERMS, LIMITS, load_text("phrases")["lands"]):
            said = Counter(
                value for value in values
                for _ in re.findall(rf"(?<![\d,]){value}\b", document.text)
            )  # fmt: skip
            twice = [value for value, count in said.items() if count >= 2]
            assert len(twice) <= 1, document.text
            noted += len(twice)
        counts[noted] += 1
    assert set(counts) == {1, 2, 3}
    assert min(counts.values()) > 80
    assert len(forms) == 6


def test_a_note_names_the_parties_of_its_opening(monkeypatch):
    stock, dice, made = load_text("phrases"), Dice("parties"), Counter()
    only = [{"form": "one", "text": "{clauses}\n{points}"}]
    monkeypatch.setattr(documents, "forms", lambda name: only)
    names = {role: {*stock[role]} for role in ("companies", "clients")}
    drawn = []
    monkeypatch.setattr(drills, "draw_terms", lambda *a: drawn.append(draw_terms(*a)) or drawn[-1])
    for _ in range(300):
        opening, points = draw_document(WORLD, dice, "party").text.split("\n")
        parties = {"companies": drawn[-1]["provider"], "clients": drawn[-1]["client"]}
        for role, name in parties.items():
            assert name in opening
            made[role, name in names[role]] += 1
        assert any(name in points for name in parties.values())
        strangers = {*names["companies"], *names["clients"]} - {*parties.values()}
        assert not [name for name in strangers if re.search(rf"\b{name}\b", points)], points
        made["both"] += all(name in points for name in parties.values())
    assert min(made.values()) > 100
