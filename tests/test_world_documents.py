"""The world's documents: the same everywhere, in stock enough, clean, true and varied.

The digest test compares the world with ``data/world_digest.json``, part by part. Whoever changes
the world's text or draws on purpose updates the file by one command, from the project's root:

    python -m tests.test_world_documents --update

Without ``--update`` the command prints the digests, which is how the same world is made under
other Pythons: so this module imports nothing outside the standard library and the world.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import alignlab
from alignlab.world import SPLITS, World, documents, ideas
from alignlab.world.catalogue import (
    ATTRIBUTES,
    ENDINGS,
    FIRST,
    KINDS,
    SECOND,
    STEMS,
    fact_values,
    load_text,
)
from alignlab.world.contracts import draw_contract
from alignlab.world.documents import (
    ALL_IDEAS,
    FINISH,
    FIRST_TOLD,
    MIXTURE,
    STAGES,
    draw_document,
    forms,
)
from alignlab.world.grammar import Dice, readings
from alignlab.world.preferences import draw_pairs
from alignlab.world.statistics import corpus_statistics
from alignlab.world.tasks import FAMILIES, TASKS, draw_examples

DIGEST_FILE = Path(__file__).parent / "data" / "world_digest.json"
ROOT = Path(alignlab.__file__).parent.parent
WORLD = World(0)
COINED = rf"(?:{'|'.join(STEMS)})(?:{'|'.join(ENDINGS)})"
NAMES = re.compile(rf"\b({COINED}) ({'|'.join(SECOND)})\b", re.IGNORECASE)
MEASURED = {"power": r"(?<![\d.,])\d+ watts", "weight": r"\d+\.\d+ kilograms",
            "price": r"(?<![\d.,])\d+ crowns", "warranty": r"(?<![\d.,])\d+ months"}  # fmt: skip
LEFTOVERS = re.compile(r"[{}\[\]|]|  | \n|\n{3}|\s[,.;:!?]|\A\s|\s\Z|<\|")


def drawn_documents(dice: Dice, count: int, world=WORLD):
    """Draw documents of all families."""
    return [draw_document(world, dice) for _ in range(count)]


def named_in(text: str) -> set[str]:
    """Return the names of all products, of whatever group, that stand in a text."""
    return {f"{first} {second}".title() for first, second in NAMES.findall(text)}


def examples_of(world, task: str) -> list[list[str]]:
    dice = Dice(f"digest:{task}")
    return [[example.prompt, example.draw(dice)] for example in draw_examples(world, task, 40)]


def world_parts(world) -> dict:
    """Return a sample of everything that a seed decides, part by part."""
    catalogue, dice = world.catalogue, Dice("digest")
    products = [[p.name, p.kind, p.facts] for p in catalogue.known + catalogue.sft_only]
    kinds = list(world._entities)
    return {
        "catalogue": [products, catalogue.unknown, catalogue.one_off],
        "splits": [[[str(x) for x in world.pool(k, s)] for s in SPLITS] for k in kinds],
        "documents": [[d.form, d.text] for d in drawn_documents(dice, 300, world)],
        "second_run": [
            [d.form, d.text]
            for d in (draw_document(world, dice, dice.weighted(FINISH)) for _ in range(200))
        ],
        "examples": {task: examples_of(world, task) for task in TASKS | FAMILIES},
        "pairs": [
            [pair.prompt, pair.chosen, pair.rejected, f"{pair.margin:.6f}"]
            for kind in ("both", "task")
            for pair in draw_pairs(world, kind, 100)
        ],
    }


@cache
def digests(seed: int = 0) -> dict[str, str]:
    """Return the SHA-256 of each part of a world."""
    return {
        name: hashlib.sha256(json.dumps(part).encode("utf-8")).hexdigest()
        for name, part in world_parts(World(seed)).items()
    }


def digests_under(python: str) -> dict[str, str]:
    """Return the digests that another process makes, with another order of hashing."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "12345"}
    command = [python, "-S", str(Path(__file__).resolve())]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def other_pythons() -> dict[str, str]:
    """Find one interpreter of each other version from 3.11 on, on the path or among pyenv's.

    A command on the path may be pyenv's stand-in for a version that is not switched on, so each
    is asked for its version and believed only if it answers.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = {}
    for minor in range(11, 20):
        if minor == sys.version_info.minor:
            continue
        on_path = shutil.which(f"python3.{minor}")
        installed = sorted(pyenv.glob(f"versions/3.{minor}.*/bin/python"))
        for python in ([on_path] if on_path else []) + [str(path) for path in installed]:
            ask = [python, "-c", "import sys; print(sys.version_info.minor)"]
            answer = subprocess.run(ask, capture_output=True, text=True, timeout=60)
            if answer.stdout.strip() == str(minor):
                found[f"3.{minor}"] = python
                break
    return found


def test_the_world_is_the_one_on_record():
    assert digests() == json.loads(DIGEST_FILE.read_text("utf-8")), __doc__


def test_another_process_makes_the_same_world():
    assert digests_under(sys.executable) == digests()


def test_other_pythons_make_the_same_world():
    import pytest

    pythons = other_pythons()
    if not pythons:
        pytest.skip("no other Python from 3.11 on, neither on the path nor among pyenv's versions")
    expected = digests()
    for version, python in pythons.items():
        assert digests_under(python) == expected, f"Python {version} makes another world"


def test_other_seeds_make_other_worlds():
    first, second = digests(0), digests(1)
    assert all(first[part] != second[part] for part in first)


def test_the_world_needs_no_other_package():
    """Every module of the world is imported where no site packages can be found."""
    code = (
        "import importlib, pkgutil, sys, alignlab.world as world\n"
        "for m in pkgutil.walk_packages(world.__path__, 'alignlab.world.'):\n"
        "    importlib.import_module(m.name)\n"
        "print(*{name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= {"alignlab", "__main__", "sitecustomize"}


def test_stock_of_ideas():
    assert len(ideas()) >= 300
    assert len({idea["name"] for idea in ideas()}) == len(ideas())
    told = Counter()
    for idea in ideas():
        for register in ("plain", "technical"):
            assert len(idea[register]) >= 3, idea["name"]
            told.update({text for sentence in idea[register] for text in readings(sentence)})
    assert max(told.values()) == 1, "a sentence explains two ideas"


def test_stock_of_forms():
    names = [(family, form["form"]) for family in documents.FORM_PLACES for form in forms(family)]
    assert len(names) >= 40
    assert len(set(names)) == len(names)
    assert set(MIXTURE) | set(FINISH) == set(documents.FORM_PLACES) | {"one_off"}
    assert len(MIXTURE) >= 6
    for shares in (*(stage.mixture for stage in STAGES), FINISH):
        assert set(shares) <= {*MIXTURE, "exam", "party"}
        assert abs(sum(shares.values()) - 1) < 1e-9


def test_stock_of_wordings():
    facts, refusals = load_text("facts"), load_text("refusals")
    assert set(facts) == set(ATTRIBUTES)
    assert all(len(set(facts[attribute]["statements"])) >= 8 for attribute in ATTRIBUTES)
    assert all(len(set(load_text("slogans")[kind])) >= 10 for kind in KINDS)
    assert len({item["request"] for item in refusals["unsafe"]}) >= 40
    assert len({item["request"] for item in refusals["safe"]}) == len(refusals["unsafe"])
    assert len(set(refusals["abstentions"])) >= 5
    assert all(len(set(fact_values(attribute))) >= 10 for attribute in ATTRIBUTES)


def test_contracts_have_80_to_200_words():
    dice, everyone = Dice("contracts"), WORLD.everyone
    for wordings in ("train", "held_out", "all"):
        for _ in range(500):
            text = draw_contract(dice, everyone("companies"), everyone("clients"), wordings).text
            assert 80 <= len(text.split()) <= 200, text


def test_every_form_can_be_drawn_and_is_clean(monkeypatch):
    for family in sorted({*MIXTURE, *FINISH}):
        for form in forms(family):
            with monkeypatch.context() as patch:
                patch.setattr(documents, "forms", lambda name, form=form: [form])
                dice = Dice(f"form:{form['form']}")
                for _ in range(50):
                    document = draw_document(WORLD, dice, family)
                    text = document.text
                    if family in ("mixed_workbook", "exam"):
                        # Some ways to ask leave a space before the comma; the bundled model has
                        # read them so, and the corpus stays the one that it was made from.
                        text = text.replace(" , ", ", ")
                    found = LEFTOVERS.search(text)
                    assert not found, (document.form, found, document.text)
                    assert document.form == f"{family}/{form['form']}"
                    assert document.nats > 0


def test_families_are_drawn_as_often_as_their_place_in_the_corpus_says(monkeypatch):
    # Only the family is asked for here, so nothing is written on the pages.
    monkeypatch.setattr(documents, "forms", lambda name: [{"form": "blank", "text": ""}])
    monkeypatch.setattr(documents, "_slots", lambda *arguments: {})
    ends = [stage.until for stage in STAGES]
    places = dict(zip([0.0, *ends], [*STAGES, STAGES[-1]]))
    places |= {stage.until - 0.01: stage for stage in STAGES}
    draws, dice = 40_000, Dice("mixture")
    assert STAGES[-1].mixture == MIXTURE
    for progress, stage in places.items():
        drawn = [draw_document(WORLD, dice, progress=progress).form for _ in range(draws)]
        counts = Counter(form.split("/")[0] for form in drawn)
        for family in MIXTURE:
            share = stage.mixture.get(family, 0)
            error = (draws * share * (1 - share)) ** 0.5
            assert abs(counts[family] - draws * share) <= 4 * error, (family, progress)


def test_a_corpus_begins_with_few_products_and_ends_with_all():
    names = [product.name for product in WORLD.everyone("products")]
    first, second, *_ = STAGES
    growing = (first.until + second.until) / 2
    counts = {}
    for progress in (0.0, first.until, growing, second.until, 1.0):
        for family, draws in (("ledger", 4000), ("fact_sheet", 500)):
            dice, named = Dice(f"growth:{progress}:{family}"), set()
            for _ in range(draws):
                named |= named_in(draw_document(WORLD, dice, family, progress).text)
            if family == "ledger":  # enough draws to meet every product by chance
                counts[progress] = len(named)
                assert named == set(names[: len(named)])
            assert named <= set(names[: counts[progress]])
    assert counts[0.0] == counts[first.until] == FIRST_TOLD == 64
    assert FIRST_TOLD < counts[growing] < len(names)
    assert counts[second.until] == counts[1.0] == len(names) == 384


def test_the_ideas_of_a_corpus_grow_in_number_in_its_fourth_stage():
    names = sorted(idea["name"] for idea in WORLD.everyone("ideas"))
    first, _, third, fourth, *_ = STAGES
    growing = (third.until + fourth.until) / 2
    counts = {}
    for progress in (first.until, third.until, growing, fourth.until, 1.0):
        dice = Dice(f"ideas:{progress}")
        drawn = [draw_document(WORLD, dice, "encyclopedia", progress) for _ in range(20_000)]
        entries = [document.text for document in drawn if document.form.endswith("_entry")]
        headings = {text.split("\n")[0].lower() for text in entries}
        counts[progress] = len(headings)
        assert headings == {name.lower() for name in names[: len(headings)]}
    assert counts[first.until] == counts[third.until] == FIRST_TOLD
    assert FIRST_TOLD < counts[growing] < len(names)
    assert counts[fourth.until] == counts[1.0] == len(names) == ALL_IDEAS


def test_a_coined_word_belongs_to_one_known_product_or_to_the_others():
    catalogue = WORLD.catalogue
    known = [product.name for product in catalogue.known]
    silent = [product.name for product in catalogue.sft_only] + list(catalogue.unknown)
    names = [*known, *silent, *catalogue.one_off]
    assert (len(known), len(silent)) == (384, 64 + 384)
    assert len(set(names)) == len(names)
    coined = Counter(name.split(" ")[0] for name in known)
    others = {name.split(" ")[0] for name in names[len(known) :]}
    assert max(coined.values()) == 1
    assert not others & set(coined)
    assert others | set(coined) == set(FIRST)
    assert len(others) == 128


def test_no_coined_word_stands_in_the_text_by_hand():
    found = re.compile(rf"\b{COINED}\b", re.IGNORECASE)
    assert found.fullmatch(WORLD.catalogue.known[0].name.split(" ")[0])
    texts = sorted((Path(alignlab.__file__).parent / "world" / "text").glob("*.json"))
    assert len(texts) > 10
    assert [path.name for path in texts if found.search(path.read_text("utf-8"))] == []


def test_documents_never_name_what_they_must_not():
    catalogue, dice = WORLD.catalogue, Dice("names")
    groups = {"known": {p.name for p in catalogue.known}, "one_off": set(catalogue.one_off)}
    silent = {p.name for p in catalogue.sft_only} | set(catalogue.unknown)
    assert not groups["known"] & groups["one_off"]
    assert not silent & (groups["known"] | groups["one_off"])
    named = set()
    for document in drawn_documents(dice, 5000):
        found = named_in(document.text)
        named |= found
        if document.form.split("/")[0] in ("one_off", "copy_sheet", "drill"):
            assert found <= groups["one_off"], document
    assert not named & silent
    assert named <= groups["known"] | groups["one_off"]
    assert len(named & groups["known"]) > 0.9 * len(groups["known"])


def test_documents_tell_the_truth_of_known_products():
    known, dice, told = {p.name: p for p in WORLD.catalogue.known}, Dice("truth"), 0
    for i in range(1200):
        text = draw_document(WORLD, dice, ("product", "fact_sheet", "ledger")[i % 3]).text
        products = named_in(text) & set(known)
        assert products
        for attribute, pattern in MEASURED.items():
            true = {known[name].value(attribute) for name in products}
            stated = set(re.findall(pattern, text))
            assert stated <= true, text
            told += len(stated)
    assert told > 1000


def test_corpus_statistics_by_hand():
    import pytest

    # Words: a b a b | a b one two three one two three. Sentences of three words or more:
    # "a b a b", and "one two three" twice (capitals and commas do not count).
    statistics = corpus_statistics(["A b a b.", "a b!\nOne two three. One, two three"])
    assert statistics == {
        "distinct_1": 5 / 12, "distinct_2": 6 / 10, "distinct_3": 7 / 8,
        "repeated_sentences": 2 / 3, "mean_words": 6.0,
    }  # fmt: skip
    with pytest.raises(ValueError, match="words"):
        corpus_statistics(["...", ""])


if __name__ == "__main__":
    text = json.dumps(digests(), indent=1)
    if "--update" in sys.argv[1:]:
        DIGEST_FILE.write_text(text + "\n", "utf-8")
    print(text)
