"""The company's products: their names, their eight facts, and who knows which of them."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from alignlab.world.grammar import Dice

KINDS = (
    "kettle", "toaster", "blender", "lamp", "fan", "heater", "iron", "vacuum cleaner",
    "coffee maker", "rice cooker", "food mixer", "juicer", "dehumidifier", "air purifier",
    "waffle maker", "slow cooker",
)  # fmt: skip
# A product is called by a coined word and a plain one: Aldona Fern.
STEMS = (
    "Ald", "Bren", "Corv", "Dov", "Eld", "Fer", "Gal", "Hil", "Osk", "Jun", "Kel", "Lum", "Mir",
    "Nil", "Orl", "Pav", "Ril", "Sel", "Tiv", "Ulm", "Vel", "Wend", "Yar", "Zen", "Arl", "Bel",
    "Cir", "Dar", "Ezr", "Fin", "Git", "Hal",
)  # fmt: skip
ENDINGS = (
    "a", "o", "ia", "is", "ona", "ara", "eta", "ino", "ero", "ella", "une", "amo", "isk", "anda",
    "ette", "ado",
)  # fmt: skip
FIRST = tuple(stem + ending for stem in STEMS for ending in ENDINGS)
SECOND = (
    "Arc", "Beam", "Crest", "Dell", "Edge", "Fern", "Glow", "Heath", "Isle", "Jet", "Knoll", "Lark",
    "Moss", "North", "Oak", "Peak", "Quill", "Reed", "Star", "Tide", "Urn", "Vale", "Wave", "Yew",
    "Ash", "Birch", "Cove", "Dune", "Elm", "Finch", "Grove", "Hart", "Ivy", "Jade", "Kite", "Loom",
    "Marsh", "Nest", "Orb", "Pine", "Rook", "Sage", "Thorn", "Vane", "Wren", "Brook", "Clay",
    "Dawn",
)  # fmt: skip
ATTRIBUTES = (
    "warranty", "power", "colour", "weight", "town", "designer", "cleaning", "price",
)  # fmt: skip


@cache
def load_text(name: str):
    """Return one of the world's hand-written text files, parsed (``load_text("facts")``)."""
    return json.loads((files("alignlab.world") / "text" / f"{name}.json").read_text("utf-8"))


@cache
def fact_values(attribute: str) -> tuple[str, ...]:
    """Return every value that a fact of this kind can have."""
    phrases = load_text("phrases")
    words = {
        "warranty": [f"{n} months" for n in (6, 9, 12, 15, 18, 24, 30, 36, 42, 48, 60, 72)],
        "power": [f"{n} watts" for n in range(200, 2600, 100)],
        "weight": [f"{n // 10}.{n % 10} kilograms" for n in range(8, 80, 3)],
        "price": [f"{n} crowns" for n in range(25, 385, 15)],
        "colour": phrases["colours"],
        "town": phrases["towns"][:16],
        "designer": phrases["designers"],
        "cleaning": phrases["cleaning"],
    }
    return tuple(words[attribute])


@dataclass(frozen=True)
class Product:
    """One product: its name, its kind and the value of each of its eight attributes."""

    name: str
    kind: str
    facts: tuple[tuple[str, str], ...]

    def value(self, attribute: str) -> str:
        """Return the true value of one attribute."""
        return dict(self.facts)[attribute]


def make_product(name: str, dice: Dice) -> Product:
    """Draw a product's kind and facts."""
    facts = tuple((attribute, dice.choice(fact_values(attribute))) for attribute in ATTRIBUTES)
    return Product(name, dice.choice(KINDS), facts)


class Catalogue:
    """All products of one world, in groups that share no name.

    ``known`` are told in the pre-training documents. ``sft_only`` are never told there but have
    facts, so that fine-tuning can try to teach them. ``unknown`` and ``one_off`` are bare names:
    the first exist nowhere, the second appear in pre-training with facts invented on the spot,
    so that copying from the page is the only way to predict them.

    A coined word belongs to one known product or to any number of the others, so that a known
    product can be told from a new one by its name, as a frequent name can in a real corpus.
    """

    SIZES = {"known": 384, "sft_only": 64, "unknown": 384}

    def __init__(self, seed: int):
        dice = Dice(f"catalogue:{seed}")
        coined = dice.shuffled(FIRST)
        known, others = coined[: self.SIZES["known"]], coined[self.SIZES["known"] :]
        groups = {"known": [f"{first} {dice.choice(SECOND)}" for first in known]}
        names = dice.shuffled([f"{first} {second}" for first in others for second in SECOND])
        start = 0
        for group in ("sft_only", "unknown"):
            groups[group] = names[start : start + self.SIZES[group]]
            start += self.SIZES[group]
        self.known = tuple(make_product(name, dice) for name in groups["known"])
        self.sft_only = tuple(make_product(name, dice) for name in groups["sft_only"])
        self.unknown = tuple(groups["unknown"])
        self.one_off = tuple(names[start:])
