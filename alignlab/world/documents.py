"""Pre-training documents: the same facts told again and again, never as an assistant would.

Every form of document is a hand-written text with alternatives and slots; the classes below
say what the slots mean. Nothing here has the shape of a chat.
"""

from dataclasses import dataclass

from alignlab.world.catalogue import load_text, make_product
from alignlab.world.drills import ClauseSlots, DrillSlots, PartySlots
from alignlab.world.exam import ExamSlots
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
from alignlab.world.workbook import MixedWorkbookSlots, WorkbookSlots

# How often each family of document is drawn. The papers, sheets and drills of one-off products tell
# of products that exist only on that page: to predict them a model must learn to copy from what
# it has read. Reference works tell the facts without a story round them, so each is met often;
# notes on clauses and workbooks do the same for what is read off a page or asked for by its name.
MIXTURE = {
    "product": 0.04,
    "fact_sheet": 0.09,
    "ledger": 0.02,
    "one_off": 0.02,
    "copy_sheet": 0.02,
    "drill": 0.01,
    "copybook": 0.01,
    "idea": 0.05,
    "encyclopedia": 0.14,
    "contract": 0.09,
    "clause": 0.02,
    "register": 0.02,
    "refusal": 0.03,
    "help_page": 0.01,
    "slogan": 0.01,
    "slogan_book": 0.02,
    "category": 0.03,
    "sentence": 0.02,
    "workbook": 0.18,
    "mixed_workbook": 0.16,
    "dialogue": 0.01,
}


@dataclass(frozen=True)
class Stage:
    """A part of the corpus: until which share, what is drawn, of how many entities at its end."""

    until: float
    mixture: dict[str, float]
    products: int
    ideas: int


# The corpus does not begin with prose but with what is dense in facts and copies, and with few
# products and ideas. Reading from the page and recalling by name each set in after a plateau whose
# length grows with the number of things to be told apart (Zucchet et al. 2025, "How do language
# models learn facts?"). Once they have, new ones are learned fast: products grow in number in the
# second stage, ideas in the fourth.
FIRST_TOLD = 64
ALL_PRODUCTS, ALL_IDEAS = 384, 312
STAGES = (
    Stage(
        0.10,
        {
            "fact_sheet": 0.40,
            "ledger": 0.12,
            "copy_sheet": 0.07,
            "copybook": 0.11,
            "contract": 0.10,
            "clause": 0.20,
        },
        FIRST_TOLD,
        FIRST_TOLD,
    ),
    Stage(
        0.20,
        {
            "fact_sheet": 0.30,
            "ledger": 0.07,
            "copy_sheet": 0.06,
            "copybook": 0.04,
            "contract": 0.11,
            "clause": 0.14,
            "encyclopedia": 0.10,
            "workbook": 0.18,
        },
        ALL_PRODUCTS,
        FIRST_TOLD,
    ),
    Stage(
        0.30,
        {
            "fact_sheet": 0.12,
            "ledger": 0.02,
            "copy_sheet": 0.03,
            "copybook": 0.03,
            "contract": 0.11,
            "clause": 0.14,
            "encyclopedia": 0.14,
            "idea": 0.04,
            "workbook": 0.30,
            "product": 0.03,
            "category": 0.02,
            "sentence": 0.02,
        },
        ALL_PRODUCTS,
        FIRST_TOLD,
    ),
    Stage(0.40, MIXTURE, ALL_PRODUCTS, ALL_IDEAS),
    Stage(1.0, MIXTURE, ALL_PRODUCTS, ALL_IDEAS),
)
# What is read once more at the end, at a low rate: pages on which something is asked for once, with
# nothing before it that shows how, and a little of all else, so that it is not forgotten. Without
# the pages of one-off products a name that was never met would no longer be copied.
FINISH = {
    "workbook": 0.05,
    "exam": 0.46,
    "contract": 0.11,
    "clause": 0.03,
    "party": 0.12,
    "encyclopedia": 0.05,
    "idea": 0.02,
    "fact_sheet": 0.04,
    "copy_sheet": 0.04,
    "one_off": 0.02,
    "register": 0.01,
    "refusal": 0.02,
    "slogan_book": 0.01,
    "category": 0.01,
    "copybook": 0.01,
}
WORKBOOKS = {
    "workbook": WorkbookSlots, "mixed_workbook": MixedWorkbookSlots, "exam": ExamSlots,
}  # fmt: skip
# Which text file (and which key in it) holds the forms of each family.
FORM_PLACES = {
    "product": "product_forms",
    "idea": "idea_forms",
    "contract": "contracts/register_forms",
    "clause": "contracts/clause_forms",
    "party": "contracts/clause_forms",
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
    "drill": "reference_forms/drill",
    "copybook": "reference_forms/copybook",
    "ledger": "reference_forms/ledger",
    "workbook": "reference_forms/workbook",
    "mixed_workbook": "reference_forms/workbook",
    "exam": "reference_forms/workbook",
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


def draw_document(world, dice: Dice, family: str | None = None, progress: float = 1.0) -> Document:
    """Draw one pre-training document, of a random family unless one is named.

    Args:
        progress: where in the corpus it will stand, from 0 (start) to 1 (end).
    """
    before = dice.nats
    stage, products, ideas = _place(progress)
    family = family or dice.weighted(stage.mixture)
    form = dice.choice(forms(family))
    text = expand(form["text"], dice, _slots(world, dice, family, products, ideas))
    return Document(f"{family}/{form['form']}", text, dice.nats - before)


def _place(progress: float) -> tuple[Stage, int, int]:
    """Return the stage at a place in the corpus, and how many known products and ideas it has."""
    before = Stage(0.0, {}, FIRST_TOLD, FIRST_TOLD)
    for stage in STAGES:
        if progress < stage.until or stage is STAGES[-1]:
            break
        before = stage
    grown = (progress - before.until) / (stage.until - before.until)
    products = before.products + int((stage.products - before.products) * grown)
    return stage, products, before.ideas + int((stage.ideas - before.ideas) * grown)


def _one_off(world, dice: Dice, count: int) -> list:
    return [make_product(name, dice) for name in dice.sample(world.catalogue.one_off, count)]


def _told(world, count: int) -> list[dict]:
    """Return the first ideas by name; by topic, as they are listed, the first would be of one."""
    return sorted(world.everyone("ideas"), key=lambda idea: idea["name"])[:count]


def _slots(world, dice: Dice, family: str, products: int, ideas: int) -> CommonSlots:
    known = world.everyone("products")[:products]
    if family in ("product", "fact_sheet"):
        return ProductSlots(*dice.sample(known, 2), dice, copy_only=False)
    if family in ("one_off", "copy_sheet"):
        return ProductSlots(*_one_off(world, dice, 2), dice, copy_only=True)
    if family == "ledger":
        return DrillSlots(dice.sample(known, 1 + dice.index(3)), dice, copy_only=False)
    if family in WORKBOOKS:
        return WORKBOOKS[family](known, _told(world, ideas), dice)
    if family == "copybook":
        return DrillSlots([], dice, copy_only=True)
    if family == "drill":
        return DrillSlots(_one_off(world, dice, 1 + dice.index(3)), dice, copy_only=True)
    if family in ("idea", "encyclopedia"):
        return IdeaSlots(*dice.sample(_told(world, ideas), 2), dice)
    if family == "contract":
        return ContractSlots(world, dice)
    if family == "clause":
        return ClauseSlots(world, dice)
    if family == "party":
        return PartySlots(world, dice)
    if family in ("register", "refusal", "help_page"):
        return DeskSlots(world, dice)
    if family in ("slogan", "slogan_book"):
        return SloganSlots(world, dice)
    if family == "category":
        return CategorySlots(dice)
    return SentenceSlots(dice) if family == "sentence" else CommonSlots(dice)
