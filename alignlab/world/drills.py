"""Practice pages: written twice, and clauses with a note of what they say."""

import re
from functools import cache

from alignlab.world.catalogue import ATTRIBUTES, Product, load_text
from alignlab.world.contracts import FEES, LIMITS, TERMS, draw_terms, mixed, summary_wordings
from alignlab.world.grammar import Dice, expand
from alignlab.world.slots import CommonSlots, Telling


@cache
def practice_words() -> tuple[str, ...]:
    """Return the words of the plain explanations, which typing classes practise."""
    texts = [text for name in ("ideas_a", "ideas_b") for idea in load_text(name)
             for text in idea["plain"]]  # fmt: skip
    return tuple(sorted(set(re.findall(r"\b[a-z]{3,}\b", " ".join(texts)))))


@cache
def phrase_words() -> tuple[str, ...]:
    """Return the words of the phrases that an instruction may ask for, each on its own."""
    phrases = load_text("phrases")
    asked = (text for key in ("starts", "endings", "asked_starts", "asked_endings")
             for text in phrases[key])  # fmt: skip
    return tuple(sorted(set(re.findall(r"[a-z]+", " ".join(asked).lower()))))


@cache
def copybook_words() -> tuple[str, ...]:
    """Return what is copied out in copybooks: words of both registers, names, sums, things."""
    ideas = [idea for letter in "abcd" for idea in load_text(f"ideas_{letter}")]
    texts = [text for idea in ideas for text in (*idea["plain"], *idea["technical"])]
    phrases = load_text("phrases")
    names = ("persons", "companies", "clients", "lands", "towns", "designers", "colours")
    things = [item for group in load_text("categories")["categories"] for item in group["items"]]
    stock = [*TERMS, *LIMITS, *FEES, *things, *(name for key in names for name in phrases[key])]
    return tuple(sorted({*re.findall(r"\b[A-Za-z]{2,}\b", " ".join(texts)), *stock}))


def entry(product: Product, attribute: str) -> str:
    """Return one line of a ledger."""
    noun = load_text("facts")[attribute]["noun"]
    return f"{product.name}, {noun}: {product.value(attribute)}"


class DrillSlots(CommonSlots):
    """Slots of pages that hold something twice. What stands there is drawn once a page.

    Predicting the second copy takes nothing but reading the first, so these pages teach a model
    to read its own context long before ordinary prose would.
    """

    def __init__(self, products: list[Product], dice: Dice, copy_only: bool):
        super().__init__(dice)
        self.products, self.copy_only = products, copy_only

    def draw(self, slot: str) -> str:
        if slot == "words":
            count = 8 + self.dice.index(33)
            return " ".join(self.dice.choice(practice_words()) for _ in range(count))
        if slot in ("lines", "ledger", "page"):
            make = {"lines": self._lines, "ledger": self._entries, "page": self._page}
            self.rows = make[slot]()
            return "\n".join(self.rows)
        if slot == "again":
            return "\n".join(self.dice.shuffled(self.rows))
        return super().draw(slot)

    def _page(self) -> list[str]:
        return [
            " ".join(self.dice.choice(copybook_words()) for _ in range(3 + self.dice.index(20)))
            for _ in range(1 + self.dice.index(4))
        ]

    def _lines(self) -> list[str]:
        tellings = [Telling(product, self.dice, self.copy_only) for product in self.products]
        return self.dice.shuffled(
            [one.tell("statements") for one in tellings for _ in range(2 + self.dice.index(4))]
        )

    def _entries(self) -> list[str]:
        return self.dice.shuffled(
            [
                entry(product, attribute)
                for product in self.products
                for attribute in self.dice.sample(ATTRIBUTES, 2 + self.dice.index(4))
            ]
        )


class ClauseSlots(CommonSlots):
    """Slots of a note on one, two or three clauses of a contract.

    A whole contract gives three fields among two hundred words, too few to learn from where in a
    clause a figure stands; here nearly every line is such a figure.
    """

    def __init__(self, world, dice: Dice):
        super().__init__(dice)
        stock = load_text("contracts")
        self.terms = draw_terms(dice, *self._parties(world))
        self.fields = dice.sample(("term", "limit", "law"), 1 + dice.index(3))
        pools = [stock[field]["train"] + stock[field]["held_out"] for field in self.fields]
        clauses = [expand(dice.choice(pool), dice, self.terms) for pool in pools]
        points = [
            expand(dice.choice(stock["points"][field]), dice, self.terms)
            for field in dice.shuffled(self.fields)
        ]
        self.kept = {"clauses": " ".join(clauses), "points": "; ".join(points)}

    def _parties(self, world) -> tuple[list[str], list[str]]:
        """Return the providers and the clients to draw from."""
        return world.everyone("companies"), world.everyone("clients")


class PartySlots(ClauseSlots):
    """Slots of a note on the opening of a contract, and on clauses: who agrees with whom.

    The parties are the hardest part of a summary to learn to copy, and stand here several times.
    """

    def __init__(self, world, dice: Dice):
        super().__init__(world, dice)
        stock = load_text("contracts")
        opening = expand(dice.choice(stock["openings"]), dice, self.terms)
        named = [expand(text, dice, self.terms) for text in dice.sample(stock["parties"], 2)]
        if dice.chance(0.5):
            self.kept = {"clauses": opening, "points": "; ".join(named)}
            return
        self.kept["clauses"] = f"{opening} {self.kept['clauses']}"
        self.kept["points"] = "; ".join(dice.shuffled([*named, self.kept["points"]]))
        if len(self.fields) == 3:
            summary = expand(dice.choice(summary_wordings("documents")), dice, self.terms)
            self.kept["points"] = summary.removesuffix(".")

    def _parties(self, world) -> tuple[list[str], list[str]]:
        return tuple(mixed(names, self.dice) for names in super()._parties(world))
