"""Instructions with a constraint that a program can verify, in eight families."""

from itertools import combinations

from alignlab.world.catalogue import ATTRIBUTES, load_text
from alignlab.world.examples import Example, answers, question, request, the_product
from alignlab.world.grammar import combine, mixture, readings
from alignlab.world.slots import COUNT_WORDS


def sentences_task(world, split, dice, wordings="train") -> Example:
    """Explain an idea in exactly so many sentences."""
    idea, count = dice.choice(world.pool("ideas", split)), 1 + dice.index(3)
    unit = "one sentence" if count == 1 else f"{COUNT_WORDS[count]} sentences"
    prompt = request(dice, "sentences", wordings, idea | {"count": unit})
    meta = {"judge": "sentences", "count": count, "idea": idea["name"]}
    return Example(
        "sentences", prompt, meta,
        lambda: combine(*(readings(text) for text in idea["plain"][:count]), join=" "),
    )  # fmt: skip


def list_task(world, split, dice, wordings="train") -> Example:
    """Name so many things of a kind, one on each line, in alphabetical order."""
    category, count = dice.choice(world.pool("categories", split)), 2 + dice.index(3)
    slots = {"category": category["name"], "count": COUNT_WORDS[count]}
    prompt = request(dice, "list", wordings, slots)
    meta = {"judge": "list", "count": count, "items": category["items"]}

    def labels():
        chosen = list(combinations(category["items"], count))
        return {"\n".join(f"- {item}" for item in items): 1 / len(chosen) for items in chosen}

    return Example("list", prompt, meta, labels)


def capitals_task(world, split, dice, wordings="train") -> Example:
    """Write a notice in capital letters."""
    notice = dice.choice(world.pool("notices", split))
    prompt = request(dice, "capitals", wordings, {"topic": notice["topic"]})
    meta = {"judge": "capitals", "notice": notice["notice"]}
    return Example("capitals", prompt, meta, lambda: {notice["notice"]: 1.0})


def required_word_task(world, split, dice, wordings="train") -> Example:
    """Write a sentence that uses a given word."""
    noun, place = (dice.choice(world.pool(kind, split)) for kind in ("nouns", "places"))
    slots = {"noun": noun, "place": place}
    prompt = request(dice, "required_word", wordings, slots)
    stock = load_text("sentences")["sentences"]
    return Example(
        "required_word", prompt, {"judge": "required_word"} | slots,
        lambda: mixture(*((1 / len(stock), readings(text, slots)) for text in stock)),
    )  # fmt: skip


def forbidden_word_task(world, split, dice, wordings="train") -> Example:
    """Tell two facts of a product, in the catalogue's order, without using a certain word."""
    product, facts = dice.choice(world.pool("products", split)), load_text("facts")
    banned = dice.choice(ATTRIBUTES)
    slots = {"name": product.name, "word": facts[banned]["word"]}
    prompt = request(dice, "forbidden_word", wordings, slots)
    allowed = [attribute for attribute in ATTRIBUTES if attribute != banned]

    def told(attribute, wording):
        return readings(wording, {"value": product.value(attribute)})

    def labels():
        pairs = list(combinations(allowed, 2))
        tables = []
        for first, second in pairs:
            start = answers(first, product.name, product.value(first))
            more = facts[second]["pronoun"]
            rest = mixture(*((1 / len(more), told(second, wording)) for wording in more))
            tables.append((1 / len(pairs), combine(start, rest, join=" ")))
        return mixture(*tables)

    meta = {"judge": "forbidden_word", "word": slots["word"], "name": product.name}
    return Example("forbidden_word", prompt, meta | {"facts": dict(product.facts)}, labels)


def ending_task(world, split, dice, wordings="train") -> Example:
    """Explain an idea in one sentence and end with given words."""
    idea, ending = (dice.choice(world.pool(kind, split)) for kind in ("ideas", "endings"))
    prompt = request(dice, "ending", wordings, idea | {"ending": ending})
    meta = {"judge": "ending", "ending": ending, "idea": idea["name"]}
    return Example(
        "ending", prompt, meta,
        lambda: combine(readings(idea["plain"][0]), {ending: 1.0}, join=" "),
    )  # fmt: skip


def opening_task(world, split, dice, wordings="train") -> Example:
    """Explain an idea in one sentence that begins with given words."""
    idea, start = (dice.choice(world.pool(kind, split)) for kind in ("ideas", "starts"))
    prompt = request(dice, "opening", wordings, idea | {"start": start})
    meta = {"judge": "opening", "start": start, "idea": idea["name"]}
    return Example(
        "opening", prompt, meta,
        lambda: combine({start: 1.0}, readings(idea["plain"][0]), join=" "),
    )  # fmt: skip


def brief_task(world, split, dice, wordings="train") -> Example:
    """Answer a manual question with the bare value."""
    product, attribute = dice.choice(world.pool("products", split)), dice.choice(ATTRIBUTES)
    asked = question(dice, attribute, the_product(product, dice), wordings)
    prompt = request(dice, "brief", wordings, {"q": asked})
    value = product.value(attribute)
    meta = {"judge": "brief", "name": product.name, "attribute": attribute, "value": value}
    return Example("brief", prompt, meta, lambda: {value: 1.0})


FAMILIES = {
    "sentences": sentences_task,
    "list": list_task,
    "capitals": capitals_task,
    "required_word": required_word_task,
    "forbidden_word": forbidden_word_task,
    "ending": ending_task,
    "opening": opening_task,
    "brief": brief_task,
}


def instructions(world, split, dice, wordings="train") -> Example:
    """Draw an instruction with a constraint that a program can verify, of any family."""
    return FAMILIES[dice.choice(tuple(FAMILIES))](world, split, dice, wordings)
