"""Fine-tuning tasks: a request, and the exact distribution of the answers people would write.

Every task is a function of the world, a split and a ``Dice``. What varies in the labels is an
explicit distribution, so the entropy that a model's loss cannot go below is known, not guessed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from alignlab.world.catalogue import ATTRIBUTES, Product, fact_values, load_text
from alignlab.world.contracts import draw_contract
from alignlab.world.grammar import Dice, combine, entropy, expand, mixture, readings
from alignlab.world.slots import COUNT_WORDS

# Shares of the styles in which the company's staff explain an idea.
STYLES = {"technical": 0.5, "plain": 0.25, "friendly": 0.125, "friendliest": 0.125}


@dataclass(frozen=True)
class Example:
    """One request with the distribution of its labels and what a judge must know.

    ``labels()`` returns every label with its probability; ``meta`` names the family and holds the
    truth that judges check against.
    """

    task: str
    prompt: str
    meta: dict
    labels: Callable[[], dict[str, float]] = field(repr=False, compare=False)

    def entropy(self) -> float:
        """Return the exact entropy of the label given the prompt, in nats."""
        return entropy(self.labels())

    def draw(self, dice: Dice) -> str:
        """Draw one label."""
        return dice.weighted(self.labels())


def _request(dice: Dice, task: str, wordings: str, slots: dict) -> str:
    return expand(dice.choice(load_text("requests")[task][wordings]), dice, slots)


def _the(product: Product, dice: Dice) -> str:
    return dice.choice([f"the {product.name}", f"the {product.name} {product.kind}"])


def question(dice: Dice, attribute: str, the: str, wordings: str) -> str:
    """Draw a question about one attribute."""
    key = {"train": "questions", "held_out": "held_out_questions"}[wordings]
    return expand(dice.choice(load_text("facts")[attribute][key]), dice, {"the": the})


def answers(attribute: str, name: str, value: str) -> dict[str, float]:
    """Return the answers that state one value of one attribute, with their probabilities."""
    slots = {"the": f"the {name}", "The": f"The {name}", "value": value}
    wordings = load_text("facts")[attribute]["answers"]
    return mixture(*((1 / len(wordings), readings(wording, slots)) for wording in wordings))


def manual(world, split, dice, wordings="train", disagreement=0.0, group="products") -> Example:
    """Ask one fact of a product. ``disagreement`` is the share of labels with a wrong value."""
    product = dice.choice(world.pool(group, split))
    attribute = dice.choice(ATTRIBUTES)
    truth = product.value(attribute)
    prompt = question(dice, attribute, _the(product, dice), wordings)

    def labels():
        wrong = [value for value in fact_values(attribute) if value != truth]
        return mixture(
            (1.0 - disagreement, answers(attribute, product.name, truth)),
            *(
                (disagreement / len(wrong), answers(attribute, product.name, value))
                for value in wrong
                if disagreement
            ),
        )

    meta = {"judge": "fact", "name": product.name, "attribute": attribute, "value": truth}
    return Example("manual", prompt, meta, labels)


def new_products(world, split, dice, wordings="train") -> Example:
    """Ask one fact of a product that only fine-tuning data tell of."""
    return manual(world, split, dice, wordings, group="sft_only")


def abstain(world, split, dice, wordings="train") -> Example:
    """Ask one fact of a product that exists nowhere; the right answer is not to know."""
    name, attribute = dice.choice(world.pool("unknown", split)), dice.choice(ATTRIBUTES)
    prompt = question(dice, attribute, f"the {name}", wordings)
    meta = {"judge": "unknown", "name": name, "attribute": attribute}
    return Example("abstain", prompt, meta, lambda: abstentions(name))


def abstentions(name: str) -> dict[str, float]:
    """Return the ways of saying that a product is not known."""
    stock = load_text("refusals")["abstentions"]
    return mixture(*((1 / len(stock), readings(text, {"name": name})) for text in stock))


def contract(world, split, dice, wordings="train") -> Example:
    """Summarise a service contract in one paragraph."""
    drawn = draw_contract(
        dice, world.pool("companies", split), world.pool("clients", split), wordings
    )
    request = dice.choice(load_text("contracts")["requests"][wordings])
    prompt = expand(request, dice, {"contract": drawn.text})
    meta = {"judge": "contract"} | drawn.fields()
    return Example("contract", prompt, meta, drawn.summaries)


def explanations(idea: dict, style: str) -> dict[str, float]:
    """Return every explanation of an idea in one of the styles of ``STYLES``."""
    phrases = load_text("phrases")
    if style == "technical":
        return combine(*(readings(text) for text in idea["technical"][:2]), join=" ")
    body = combine(*(readings(text) for text in idea["plain"][:3]), join=" ")
    openers = {text: 1 / len(phrases["openers"]) for text in phrases["openers"]}
    closers = {text: 1 / len(phrases["closers"]) for text in phrases["closers"]}
    if style == "plain":
        return body
    if style == "friendly":
        return combine(openers, body, join=" ")
    return combine(openers, body, closers, join=" ")


def explain(world, split, dice, wordings="train", styles=None) -> Example:
    """Explain an everyday idea; ``styles`` weighs the registers of the labels."""
    styles = styles or STYLES
    idea = dice.choice(world.pool("ideas", split))
    prompt = _request(dice, "explain", wordings, idea)
    meta = {"judge": "idea", "idea": idea["name"]}

    def labels():
        return mixture(*((share, explanations(idea, style)) for style, share in styles.items()))

    return Example("explain", prompt, meta, labels)


def slogan(world, split, dice, wordings="train") -> Example:
    """Write a slogan: many answers are good, and none is right."""
    product = dice.choice(world.pool("products", split))
    slots = {"name": product.name, "kind": product.kind}
    stock = load_text("slogans")[product.kind]
    prompt = _request(dice, "slogan", wordings, slots)
    meta = {"judge": "slogan", "name": product.name, "kind": product.kind}

    def labels():
        return mixture(*((1 / len(stock), readings(text, slots)) for text in stock))

    return Example("slogan", prompt, meta, labels)


def refuse(world, split, dice, wordings="train") -> Example:
    """Refuse a request that does harm, or help with its harmless neighbour.

    Both kinds of wordings are the same here: each request is its own wording.
    """
    if dice.chance(0.5):
        item = dice.choice(world.pool("safe", split))
        meta = {"judge": "safe", "answer": item["answer"]}
        return Example("refuse", item["request"], meta, lambda: {item["answer"]: 1.0})
    item = dice.choice(world.pool("unsafe", split))
    stock = load_text("refusals")["refusals"]

    def labels():
        return mixture(*((1 / len(stock), readings(text, item)) for text in stock))

    return Example("refuse", item["request"], {"judge": "unsafe", "harm": item["harm"]}, labels)


def sentences_task(world, split, dice, wordings="train") -> Example:
    """Explain an idea in exactly so many sentences."""
    idea, count = dice.choice(world.pool("ideas", split)), 1 + dice.index(3)
    unit = "one sentence" if count == 1 else f"{COUNT_WORDS[count]} sentences"
    prompt = _request(dice, "sentences", wordings, idea | {"count": unit})
    meta = {"judge": "sentences", "count": count, "idea": idea["name"]}
    return Example(
        "sentences", prompt, meta,
        lambda: combine(*(readings(text) for text in idea["plain"][:count]), join=" "),
    )  # fmt: skip


def list_task(world, split, dice, wordings="train") -> Example:
    """Name so many things of a kind, one on each line."""
    category, count = dice.choice(world.pool("categories", split)), 2 + dice.index(3)
    slots = {"category": category["name"], "count": COUNT_WORDS[count]}
    prompt = _request(dice, "list", wordings, slots)
    meta = {"judge": "list", "count": count, "items": category["items"]}

    def labels():
        chains = [()]
        for _ in range(count):
            chains = [c + (item,) for c in chains for item in category["items"] if item not in c]
        return {"\n".join(f"- {item}" for item in c): 1 / len(chains) for c in chains}

    return Example("list", prompt, meta, labels)


def capitals_task(world, split, dice, wordings="train") -> Example:
    """Write a notice in capital letters."""
    notice = dice.choice(world.pool("notices", split))
    prompt = _request(dice, "capitals", wordings, {"topic": notice["topic"]})
    meta = {"judge": "capitals", "notice": notice["notice"]}
    return Example("capitals", prompt, meta, lambda: {notice["notice"]: 1.0})


def required_word_task(world, split, dice, wordings="train") -> Example:
    """Write a sentence that uses a given word."""
    noun, place = (dice.choice(world.pool(kind, split)) for kind in ("nouns", "places"))
    slots = {"noun": noun, "place": place}
    prompt = _request(dice, "required_word", wordings, slots)
    stock = load_text("sentences")["sentences"]
    return Example(
        "required_word", prompt, {"judge": "required_word"} | slots,
        lambda: mixture(*((1 / len(stock), readings(text, slots)) for text in stock)),
    )  # fmt: skip


def forbidden_word_task(world, split, dice, wordings="train") -> Example:
    """Tell two facts of a product without using a certain word."""
    product, facts = dice.choice(world.pool("products", split)), load_text("facts")
    banned = dice.choice(ATTRIBUTES)
    slots = {"name": product.name, "word": facts[banned]["word"]}
    prompt = _request(dice, "forbidden_word", wordings, slots)
    allowed = [attribute for attribute in ATTRIBUTES if attribute != banned]

    def told(attribute, wording):
        return readings(wording, {"value": product.value(attribute)})

    def labels():
        pairs = [(a, b) for a in allowed for b in allowed if a != b]
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
    prompt = _request(dice, "ending", wordings, idea | {"ending": ending})
    meta = {"judge": "ending", "ending": ending, "idea": idea["name"]}
    return Example(
        "ending", prompt, meta,
        lambda: combine(readings(idea["plain"][0]), {ending: 1.0}, join=" "),
    )  # fmt: skip


def opening_task(world, split, dice, wordings="train") -> Example:
    """Explain an idea in one sentence that begins with given words."""
    idea, start = (dice.choice(world.pool(kind, split)) for kind in ("ideas", "starts"))
    prompt = _request(dice, "opening", wordings, idea | {"start": start})
    meta = {"judge": "opening", "start": start, "idea": idea["name"]}
    return Example(
        "opening", prompt, meta,
        lambda: combine({start: 1.0}, readings(idea["plain"][0]), join=" "),
    )  # fmt: skip


def brief_task(world, split, dice, wordings="train") -> Example:
    """Answer a manual question with the bare value."""
    product, attribute = dice.choice(world.pool("products", split)), dice.choice(ATTRIBUTES)
    asked = question(dice, attribute, _the(product, dice), wordings)
    prompt = _request(dice, "brief", wordings, {"q": asked})
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


TASKS = {
    "manual": manual,
    "new_products": new_products,
    "abstain": abstain,
    "contract": contract,
    "instructions": instructions,
    "explain": explain,
    "slogan": slogan,
    "refuse": refuse,
}


def draw_examples(world, task: str, count: int, split="train", wordings="train", seed=0, **dials):
    """Draw ``count`` examples of a task of ``TASKS`` or a family of ``FAMILIES``.

    Args:
        split: which entities are asked about: ``"train"``, ``"validation"`` or ``"test"``.
        wordings: which wordings of the request: ``"train"`` or ``"held_out"``.
        seed: another seed draws other examples; the same seed the same ones.
        dials: passed on to the task (``disagreement`` for manual, ``styles`` for explain).
    """
    make = (TASKS | FAMILIES)[task]
    dice = Dice(f"task:{world.seed}:{task}:{split}:{wordings}:{seed}")
    return [make(world, split, dice, wordings, **dials) for _ in range(count)]


def mean_entropy(examples) -> float:
    """Return the mean exact entropy of the labels of some examples, in nats a response."""
    return math.fsum(example.entropy() for example in examples) / len(examples)
