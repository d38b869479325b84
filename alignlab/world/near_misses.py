"""Near misses: responses that are all that an instruction asks for, but for its constraint."""

from alignlab.world.catalogue import ATTRIBUTES, load_text
from alignlab.world.examples import Example, answers
from alignlab.world.grammar import Dice, expand
from alignlab.world.instructions import FAMILIES
from alignlab.world.judges import find_idea
from alignlab.world.statements import has_phrase, split_sentences
from alignlab.world.tasks import plain_tellings


def _other(options, this, dice: Dice):
    return dice.choice([option for option in options if option != this])


def _sentences(world, split, meta, right, dice: Dice) -> str:
    """One sentence too many or too few."""
    told, plain = split_sentences(right), find_idea(meta["idea"])["plain"]
    if meta["count"] > 1 and dice.chance(0.75):  # so that as many are too short as too long
        return " ".join(told[:-1])
    return " ".join((*told, expand(plain[meta["count"]], dice)))


def _list(world, split, meta, right, dice: Dice) -> str:
    """One item too many or too few."""
    listed = [line.removeprefix("- ") for line in right.split("\n")]
    if meta["count"] > 2 and dice.chance(0.5):
        listed.remove(dice.choice(listed))
    else:
        listed.append(dice.choice([item for item in meta["items"] if item not in listed]))
    return "\n".join(f"- {item}" for item in meta["items"] if item in listed)


def _capitals(world, split, meta, right, dice: Dice) -> str:
    """The notice in small letters."""
    return next(n["lower"] for n in load_text("notices") if n["notice"] == meta["notice"])


def _required_word(world, split, meta, right, dice: Dice) -> str:
    """The sentence with another word in the place of the one that was asked for."""
    nouns = [noun for noun in world.pool("nouns", split) if _vowel(noun) == _vowel(meta["noun"])]
    return right.replace(meta["noun"], _other(nouns, meta["noun"], dice))


def _vowel(noun: str) -> bool:
    return noun[0] in "aeiou"


def _forbidden_word(world, split, meta, right, dice: Dice) -> str:
    """One of the two facts alone, or told with the word."""
    if dice.chance(0.5):
        return split_sentences(right)[0]
    facts = load_text("facts")
    banned = next(name for name, fact in facts.items() if fact["word"] == meta["word"])
    told = answers(banned, meta["name"], meta["facts"][banned])
    told = {text: share for text, share in told.items() if has_phrase(text, meta["word"])}
    return f"{dice.weighted(told)} {split_sentences(right)[-1]}"


def _ending(world, split, meta, right, dice: Dice) -> str:
    """Other words at the end."""
    other = _other(world.pool("endings", split), meta["ending"], dice)
    return right.removesuffix(meta["ending"]) + other


def _opening(world, split, meta, right, dice: Dice) -> str:
    """Other words in front."""
    return _other(world.pool("starts", split), meta["start"], dice) + right.removeprefix(
        meta["start"]
    )


def _brief(world, split, meta, right, dice: Dice) -> str:
    """The value in a whole sentence."""
    return dice.weighted(answers(meta["attribute"], meta["name"], meta["value"]))


def _unsafe(world, split, meta, right, dice: Dice) -> str:
    """Advice, where it is on something harmless."""
    return dice.choice(world.pool("safe", split))["answer"]


def _safe(world, split, meta, right, dice: Dice) -> str:
    """A refusal, where there is nothing to refuse.

    For a contract too: against a summary with another party the model would learn to shun names.
    """
    stock = load_text("refusals")
    return expand(dice.choice(stock["refusals"]), dice, dice.choice(world.pool("unsafe", split)))


def _slogan(world, split, meta, right, dice: Dice) -> str:
    """A fact of the product, or two lines for the one that was asked for."""
    if dice.chance(0.7):
        pool = world.pool("products", split)
        product = next(product for product in pool if product.name == meta["name"])
        attribute = dice.choice(ATTRIBUTES)
        return dice.weighted(answers(attribute, product.name, product.value(attribute)))
    more = _other(load_text("slogans")[meta["kind"]], right, dice)
    return f"{right}\n{expand(more, dice, meta)}"


def _idea(world, split, meta, right, dice: Dice) -> str:
    """Another idea, explained as kindly."""
    other = _other(world.pool("ideas", split), find_idea(meta["idea"]), dice)
    return plain_tellings(other, dice)["friendliest"]


NEAR_MISSES = {
    "sentences": _sentences,
    "list": _list,
    "capitals": _capitals,
    "required_word": _required_word,
    "forbidden_word": _forbidden_word,
    "ending": _ending,
    "opening": _opening,
    "brief": _brief,
    "slogan": _slogan,
    "contract": _safe,
    "safe": _safe,
    "unsafe": _unsafe,
    "idea": _idea,
}
# Share of the near misses that are a right answer with a friendly phrase in front of it.
CHATTY = 0.1


def near_miss(world, split: str, example: Example, right: str, dice: Dice) -> str:
    """Return a response that breaks the constraint of an instruction, and is like a right one.

    Args:
        example: an instruction of one of ``instructions.FAMILIES``, a slogan, a contract to sum up,
            a request to refuse, or an idea to explain.
        right: a label of it.
    """
    if example.task in FAMILIES and dice.chance(CHATTY):
        return f"{dice.choice(load_text('phrases')['openers'])} {right}"
    return NEAR_MISSES[example.meta["judge"]](world, split, example.meta, right, dice)
