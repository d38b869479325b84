"""Pre-training documents: the same facts told again and again, never as an assistant would.

Every form of document is a hand-written text with alternatives and slots; the classes below
say what the slots mean. Nothing here has the shape of a chat.
"""

from dataclasses import dataclass

from alignlab.world.catalogue import load_text, make_product
from alignlab.world.grammar import Dice, expand
from alignlab.world.slots import (
    CategorySlots,
    CommonSlots,
    ContractSlots,
    DeskSlots,
    IdeaSlots,
    ProductSlots,
    SentenceSlots,
    SloganSlots,
)

# How often each family of document is drawn. The papers and sheets of one-off products tell of
# products that exist only on that page: to predict them a model must learn to copy from what it
# has read. Reference works tell the facts without a story round them, so that each is met often.
MIXTURE = {
    "product": 0.14,
    "fact_sheet": 0.20,
    "one_off": 0.07,
    "copy_sheet": 0.14,
    "idea": 0.07,
    "encyclopedia": 0.12,
    "contract": 0.07,
    "register": 0.05,
    "refusal": 0.02,
    "help_page": 0.03,
    "slogan": 0.02,
    "slogan_book": 0.01,
    "category": 0.03,
    "sentence": 0.02,
    "dialogue": 0.01,
}
# Which text file (and which key in it) holds the forms of each family.
FORM_PLACES = {
    "product": "product_forms",
    "idea": "idea_forms",
    "contract": "contracts/register_forms",
    "register": "refusals/register_forms",
    "refusal": "refusals/refusal_forms",
    "slogan": "slogan_forms",
    "category": "categories/forms",
    "sentence": "sentences/forms",
    "dialogue": "phrases/dialogues",
    "fact_sheet": "reference_forms/fact_sheet",
    "copy_sheet": "reference_forms/copy_sheet",
    "encyclopedia": "reference_forms/encyclopedia",
    "help_page": "reference_forms/help_page",
    "slogan_book": "reference_forms/slogan_book",
}


@dataclass(frozen=True)
class Document:
    """One document, the form it was written in, and how surprising its choices were (nats)."""

    form: str
    text: str
    nats: float


def _copyable(form: dict) -> bool:
    """Say whether every question of a form comes after facts that answer it."""
    text = form["text"]
    if "{q}" not in text and "{otherq}" not in text:
        return True
    asked, told = text.count("{q}"), text.split("{q}")[0].count("{fact")
    other_asked = text.count("{otherq}")
    other_told = text.split("{otherq}")[0].count("{otherfact}")
    return told >= asked and other_told >= other_asked


def forms(family: str) -> list[dict]:
    """Return the hand-written forms of one family of documents."""
    if family == "one_off":
        return [form for form in load_text("product_forms") if _copyable(form)]
    name, *key = FORM_PLACES[family].split("/")
    stock = load_text(name)
    return stock[key[0]] if key else stock


def draw_document(world, dice: Dice, family: str | None = None) -> Document:
    """Draw one pre-training document, of a random family unless one is named."""
    before = dice.nats
    family = family or dice.weighted(MIXTURE)
    form = dice.choice(forms(family))
    text = expand(form["text"], dice, _slots(world, dice, family))
    return Document(f"{family}/{form['form']}", text, dice.nats - before)


def _slots(world, dice: Dice, family: str) -> CommonSlots:
    if family in ("product", "fact_sheet"):
        return ProductSlots(*dice.sample(world.everyone("products"), 2), dice, copy_only=False)
    if family in ("one_off", "copy_sheet"):
        one, two = dice.sample(world.catalogue.one_off, 2)
        products = make_product(one, dice), make_product(two, dice)
        return ProductSlots(*products, dice, copy_only=True)
    if family in ("idea", "encyclopedia"):
        return IdeaSlots(*dice.sample(world.everyone("ideas"), 2), dice)
    if family == "contract":
        return ContractSlots(world, dice)
    if family in ("register", "refusal", "help_page"):
        return DeskSlots(world, dice)
    if family in ("slogan", "slogan_book"):
        return SloganSlots(world, dice)
    if family == "category":
        return CategorySlots(dice)
    return SentenceSlots(dice) if family == "sentence" else CommonSlots(dice)
