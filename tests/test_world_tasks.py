"""Tasks: exact entropies against hand calculation and drawing, and splits that do not leak."""

import math
import re
from collections import Counter
from dataclasses import replace
from itertools import chain

import pytest

from alignlab.world import SPLITS, World, ideas
from alignlab.world.catalogue import ATTRIBUTES, fact_values, load_text
from alignlab.world.grammar import Dice, readings
from alignlab.world.instructions import FAMILIES
from alignlab.world.tasks import STYLES, TASKS, draw_examples, mean_entropy

WORLD = World(0)
IDEAS = {idea["name"]: idea for idea in ideas()}
NAMES = tuple(TASKS | FAMILIES)
EXPLAINING = ("explain", "sentences", "ending", "opening")
# Proper names and set phrases, which nothing but their own entity can bring into a text.
PROPER = ("products", "sft_only", "unknown", "companies", "clients", "endings", "starts")
# Everyday words: the task that asks about them must not ask about held-out ones.
ASKED = {"categories": "list", "notices": "capitals", "nouns": "required_word",
         "places": "required_word", "unsafe": "refuse", "safe": "refuse"}  # fmt: skip
HELD_OUT = ("validation", "test")
REGISTERS = {"plain": 3, "technical": 2}  # how many sentences of each an explanation has


def held_out_names(kind: str) -> set[str]:
    """Return the names by which prompts ask about the held-out entities of a kind."""
    key = {"notices": "topic", "unsafe": "request", "safe": "request"}.get(kind, "name")
    entities = [entity for split in HELD_OUT for entity in WORLD.pool(kind, split)]
    return {e[key] if isinstance(e, dict) else getattr(e, "name", e) for e in entities}


def any_of(texts) -> re.Pattern:
    """Match any of some texts as whole words."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(texts)))})(?!\w)", re.I)


def drawn(name: str, count: int, split: str = "train") -> list[tuple]:
    dice = Dice(f"leak:{name}")
    return [(e, e.draw(dice)) for e in draw_examples(WORLD, name, count, split=split)]


def kept(table: dict, example):
    """Return an example that hands out its labels without making them anew."""
    return replace(example, labels=lambda: table)


def log_readings(texts) -> list[float]:
    """Count the readings of each text by hand, as logs: brackets must not nest."""
    logs = []
    for text in texts:
        groups = re.findall(r"\[([^\[\]]*)\]", text)
        assert text.count("[") == len(groups), f"nested brackets in {text!r}"
        logs.append(math.fsum(math.log(group.count("|") + 1) for group in groups))
    return logs


def mean_choice(texts) -> float:
    """Return the entropy of one text drawn evenly and then one of its readings, by hand."""
    return math.log(len(texts)) + math.fsum(log_readings(texts)) / len(texts)


@pytest.mark.parametrize("name", NAMES)
def test_entropy_is_the_mean_surprise_of_drawn_labels(name):
    """With the exact variance of -log p known, the mean lies within 4 standard errors."""
    dice, gap, variance = Dice(f"surprise:{name}"), 0.0, 0.0
    for example in draw_examples(WORLD, name, 30, seed=1):
        table, exact = example.labels(), example.entropy()
        assert math.fsum(table.values()) == pytest.approx(1.0, abs=1e-12)
        assert min(table.values()) > 0
        square = math.fsum(p * math.log(p) ** 2 for p in table.values())
        for _ in range(20):
            gap += -math.log(table[kept(table, example).draw(dice)]) - exact
            variance += max(0.0, square - exact**2)
    assert abs(gap) <= 4 * math.sqrt(variance) + 1e-6


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("capitals", "brief")])
def test_labels_are_drawn_as_often_as_they_say(name):
    """Pearson's chi-squared over up to 20 groups of labels, each of known probability."""
    examples = [e for e in draw_examples(WORLD, name, 8, seed=2) if len(e.labels()) > 1][:2]
    assert examples
    for example in examples:
        table, dice, draws = example.labels(), Dice(f"frequencies:{name}"), 1000
        group = {label: i % 20 for i, label in enumerate(table)}
        expected = Counter()
        for label, p in table.items():
            expected[group[label]] += draws * p
        counts = Counter(group[kept(table, example).draw(dice)] for _ in range(draws))
        free = len(expected) - 1
        chi2 = sum((counts[g] - mean) ** 2 / mean for g, mean in expected.items())
        # Wilson and Hilferty (1931): the cube root of chi-squared is close to normal.
        z = ((chi2 / free) ** (1 / 3) - 1 + 2 / (9 * free)) / math.sqrt(2 / (9 * free))
        assert z < 4, (example.prompt, counts)


@pytest.mark.parametrize(
    ("name", "labels"),
    [("manual", 4), ("new_products", 4), ("abstain", 6), ("contract", 6), ("slogan", 12),
     ("capitals", 1), ("brief", 1)],
)  # fmt: skip
def test_entropy_of_equally_likely_wordings(name, labels):
    for example in draw_examples(WORLD, name, 20, split="test", wordings="held_out"):
        assert example.entropy() == pytest.approx(math.log(labels))
    assert mean_entropy(draw_examples(WORLD, name, 20)) == pytest.approx(math.log(labels))


def test_entropy_of_lists_and_refusals():
    choices, seen = {2: 45, 3: 120, 4: 210}, set()  # of 2, 3, 4 things out of ten
    for example in draw_examples(WORLD, "list", 30):
        seen.add(example.meta["count"])
        assert example.entropy() == pytest.approx(math.log(choices[example.meta["count"]]))
    assert seen == set(choices)
    for category in load_text("categories")["categories"]:
        assert category["items"] == sorted(category["items"])
    for example in draw_examples(WORLD, "refuse", 40):
        known = {"unsafe": math.log(6), "safe": 0.0}[example.meta["judge"]]
        assert example.entropy() == pytest.approx(known)


@pytest.mark.parametrize("d", [0.1, 0.5, 1.0])
def test_entropy_of_a_manual_on_which_people_disagree(d):
    """Right or wrong, then which wrong value of K - 1, then which of four wordings."""
    split = -sum(p * math.log(p) for p in (d, 1 - d) if p)
    for example in draw_examples(WORLD, "manual", 20, disagreement=d):
        wrong = len(fact_values(example.meta["attribute"])) - 1
        by_hand = split + d * math.log(wrong) + math.log(4)
        assert example.entropy() == pytest.approx(by_hand)


def test_disagreement_is_the_share_of_wrong_labels():
    dice, draws, wrong = Dice("disagree"), 1500, 0
    values = {attribute: any_of(fact_values(attribute)) for attribute in ATTRIBUTES}
    for example in draw_examples(WORLD, "manual", draws, disagreement=0.3):
        (stated,) = values[example.meta["attribute"]].findall(example.draw(dice))
        wrong += stated != example.meta["value"]
    assert abs(wrong - 0.3 * draws) <= 4 * math.sqrt(draws * 0.3 * 0.7)


def test_entropy_of_explanations():
    """The style, then its sentences' readings, then one of 12 openers and of 12 closers."""
    style = -sum(share * math.log(share) for share in STYLES.values())
    ends = STYLES["friendly"] * math.log(12) + STYLES["friendliest"] * 2 * math.log(12)
    for example in draw_examples(WORLD, "explain", 25):
        idea = IDEAS[example.meta["idea"]]
        plain, technical = (sum(log_readings(idea[r][:n])) for r, n in REGISTERS.items())
        body = STYLES["technical"] * technical + (1 - STYLES["technical"]) * plain
        assert example.entropy() == pytest.approx(style + body + ends)
    for example in draw_examples(WORLD, "explain", 5, styles={"plain": 1.0}):
        by_hand = sum(log_readings(IDEAS[example.meta["idea"]]["plain"][:3]))
        assert example.entropy() == pytest.approx(by_hand)


@pytest.mark.parametrize("name", ["sentences", "ending", "opening"])
def test_entropy_of_first_sentences(name):
    for example in draw_examples(WORLD, name, 25):
        sentences = IDEAS[example.meta["idea"]]["plain"][: example.meta.get("count", 1)]
        assert example.entropy() == pytest.approx(sum(log_readings(sentences)))


def test_entropy_of_sentences_with_and_without_words():
    for example in draw_examples(WORLD, "required_word", 10):
        by_hand = mean_choice(load_text("sentences")["sentences"])
        assert example.entropy() == pytest.approx(by_hand)
    facts = [load_text("facts")[name] for name in ATTRIBUTES]
    adding = {fact["word"]: mean_choice(fact["pronoun"]) for fact in facts}
    # Two of the seven other facts, one of four answers, one way of adding the later of the two.
    for example in draw_examples(WORLD, "forbidden_word", 10):
        others = [nats for word, nats in adding.items() if word != example.meta["word"]]
        second = sum(before * nats for before, nats in enumerate(others)) / 21
        by_hand = math.log(21) + math.log(4) + second
        assert example.entropy() == pytest.approx(by_hand)


@pytest.mark.parametrize("kind", [*PROPER, *ASKED, "ideas"])
@pytest.mark.parametrize("seed", [0, 1])
def test_splits_share_no_entity(kind, seed):
    world = World(seed)
    pools = {split: [repr(entity) for entity in world.pool(kind, split)] for split in SPLITS}
    everyone = [repr(entity) for entity in world.everyone(kind)]
    assert len(set(everyone)) == len(everyone)
    assert sorted(chain(*pools.values())) == sorted(everyone)
    for split, share in SPLITS.items():
        assert abs(len(pools[split]) - share * len(everyone)) <= 1


def test_unsafe_requests_share_a_split_with_their_safe_neighbours():
    for split in SPLITS:
        unsafe, safe = (
            {WORLD.everyone(kind).index(item) for item in WORLD.pool(kind, split)}
            for kind in ("unsafe", "safe")
        )
        assert unsafe == safe


@pytest.mark.parametrize("name", NAMES)
def test_training_data_name_no_held_out_entity(name):
    held_out = any_of(set().union(*map(held_out_names, PROPER)))
    asked = [held_out_names(kind) for kind, task in ASKED.items() if task == name]
    words = any_of(set().union(*asked)) if asked else None
    for example, label in drawn(name, 120):
        assert not held_out.search(example.prompt), example.prompt
        assert not held_out.search(label), label
        assert not (words and words.search(example.prompt)), example.prompt
        # A sentence may have a noun of its own (a bench) beside the one that was asked for.
        assert name == "required_word" or not (words and words.search(label)), label


@pytest.mark.parametrize(("kind", "name"), ASKED.items())
def test_held_out_data_name_held_out_entities(kind, name):
    """The same search finds held-out entities where they belong, so it would find a leak."""
    found = any_of(held_out_names(kind))
    assert any(found.search(example.prompt) for example, _ in drawn(name, 60, "test"))


@pytest.mark.parametrize("name", EXPLAINING)
def test_training_data_explain_no_held_out_idea(name):
    """Some ideas are everyday words, so the idea's own name and question are taken out first."""
    held_out = any_of(held_out_names("ideas"))
    pools = [idea for split in HELD_OUT for idea in WORLD.pool("ideas", split)]
    told = [sentence for idea in pools for sentence in idea["plain"] + idea["technical"]]
    secret = {text for sentence in told for text in readings(sentence)}
    for example, label in drawn(name, 120):
        own = IDEAS[example.meta["idea"]]
        rest = example.prompt.replace(own["question"], "").replace(own["name"], "")
        assert not held_out.search(rest), example.prompt
        assert not any(text in label for text in secret), label


class AnySlot(dict):
    def __missing__(self, name):
        return "\0"


def shapes(texts) -> list[re.Pattern]:
    """Return patterns of every reading of some wordings, with anything in their slots."""
    strings = {string for text in texts for string in readings(text, AnySlot())}
    return [re.compile(".+?".join(map(re.escape, s.split("\0"))), re.S) for s in strings]


def wordings(group: str) -> list[str]:
    """Return every wording of requests, questions and key clauses of one group."""
    facts, contracts = load_text("facts"), load_text("contracts")
    key = {"train": "questions", "held_out": "held_out_questions"}[group]
    stocks = [stock[group] for stock in load_text("requests").values()]
    stocks += [contracts[field][group] for field in ("requests", "term", "limit", "law")]
    return list(chain(*stocks, *(facts[attribute][key] for attribute in ATTRIBUTES)))


def test_training_prompts_use_no_held_out_wording():
    assert not set(wordings("train")) & set(wordings("held_out"))
    held_out = shapes(wordings("held_out"))
    for name in NAMES:
        for example in draw_examples(WORLD, name, 60):
            assert not any(shape.search(example.prompt) for shape in held_out), example.prompt


@pytest.mark.parametrize("name", [name for name in NAMES if name != "refuse"])
def test_held_out_prompts_use_held_out_wordings(name):
    held_out = shapes(wordings("held_out"))
    for example in draw_examples(WORLD, name, 60, split="test", wordings="held_out"):
        assert any(shape.search(example.prompt) for shape in held_out), example.prompt
