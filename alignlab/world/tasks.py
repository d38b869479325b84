"""Fine-tuning tasks: a request, and the exact distribution of the answers people would write.

Every task is a function of the world, a split and a ``Dice``. What varies in the labels is an
explicit distribution, so the entropy that a model's loss cannot go below is known, not guessed.
"""

import math

from alignlab.world.catalogue import ATTRIBUTES, fact_values, load_text
from alignlab.world.contracts import draw_contract, mixed
from alignlab.world.examples import Example, answers, question, request, the_product
from alignlab.world.grammar import Dice, combine, expand, mixture, readings
from alignlab.world.instructions import FAMILIES, instructions

# Shares of the styles in which the company's staff explain an idea.
STYLES = {"technical": 0.5, "plain": 0.25, "friendly": 0.125, "friendliest": 0.125}


def manual(world, split, dice, wordings="train", disagreement=0.0, group="products") -> Example:
    """Ask one fact of a product. ``disagreement`` is the share of labels with a wrong value."""
    product = dice.choice(world.pool(group, split))
    attribute = dice.choice(ATTRIBUTES)
    truth = product.value(attribute)
    prompt = question(dice, attribute, the_product(product, dice), wordings)

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
    parties = (world.pool(kind, split) for kind in ("companies", "clients"))
    if split == "train":  # where a model would come to guess the few names there are
        parties = (mixed(names, dice) for names in parties)
    drawn = draw_contract(dice, *parties, wordings)
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


def plain_tellings(idea: dict, dice: Dice) -> dict[str, str]:
    """Draw one plain explanation of an idea, told in each style that is not technical."""
    phrases = load_text("phrases")
    body = dice.weighted(explanations(idea, "plain"))
    opener, closer = dice.choice(phrases["openers"]), dice.choice(phrases["closers"])
    return {
        "plain": body,
        "friendly": f"{opener} {body}",
        "friendliest": f"{opener} {body} {closer}",
    }


def explain(world, split, dice, wordings="train", styles=None) -> Example:
    """Explain an everyday idea; ``styles`` weighs the registers of the labels."""
    styles = styles or STYLES
    idea = dice.choice(world.pool("ideas", split))
    prompt = request(dice, "explain", wordings, idea)
    meta = {"judge": "idea", "idea": idea["name"]}

    def labels():
        return mixture(*((share, explanations(idea, style)) for style, share in styles.items()))

    return Example("explain", prompt, meta, labels)


def slogan(world, split, dice, wordings="train") -> Example:
    """Write a slogan: many answers are good, and none is right."""
    product = dice.choice(world.pool("products", split))
    slots = {"name": product.name, "kind": product.kind}
    stock = load_text("slogans")[product.kind]
    prompt = request(dice, "slogan", wordings, slots)
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
