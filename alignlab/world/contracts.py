"""Service contracts: three fields that matter, told in many wordings among clauses that do not."""

from dataclasses import dataclass

from alignlab.world.catalogue import KINDS, load_text
from alignlab.world.grammar import Dice, expand, readings

TERMS = tuple(f"{n} months" for n in (6, 9, 12, 15, 18, 24, 30, 36, 48, 60))
LIMITS = tuple(f"{n},{part} crowns" for n in range(5, 96, 5) for part in ("000", "500"))
FEES = tuple(f"{n}0 crowns" for n in range(12, 96, 3))
DAYS = tuple(str(n) for n in (5, 7, 10, 14, 20, 21, 28, 30, 45, 60, 90))
VISITS = ("two", "three", "four", "five", "six", "eight", "ten", "twelve")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True)
class Contract:
    """One contract: its text and the fields that a summary must give."""

    text: str
    provider: str
    client: str
    term: str
    limit: str
    law: str

    def fields(self) -> dict[str, str]:
        """Return the slots of a summary."""
        names = ("provider", "client", "term", "limit", "law")
        return {name: getattr(self, name) for name in names}

    def summaries(self, use: str = "tasks") -> dict[str, float]:
        """Return every summary that the paralegals write, with its probability.

        In ``"documents"``, one of the wordings names the client right behind the name of a land;
        there the bundled model cannot copy it (it is right in 0.0 to 0.2 of the cases, in all other
        places in 0.93 to 1.00), so the ``"tasks"`` have another wording in its place.
        """
        wordings = summary_wordings(use)
        return {
            text: p / len(wordings)
            for wording in wordings
            for text, p in readings(wording, self.fields()).items()
        }


def summary_wordings(use: str) -> list[str]:
    """Return the wordings of a summary in ``"documents"`` or in ``"tasks"``."""
    return [
        wording["text"] for wording in load_text("contracts")["summaries"] if use in wording["in"]
    ]


def mixed(names: list[str], dice: Dice) -> list[str]:
    """Return some names, or in half of the cases one with the first word of one and another's rest.

    Of a few names one can be guessed; of some hundred each has to be read off the page.
    """
    if dice.chance(0.5):
        return names
    # "Hotel" is the first word of three names, and nothing goes with the rest of them.
    parts = [name.split(" ", 1) for name in names if not name.startswith("Hotel")]
    (first, _), (_, rest) = dice.sample(parts, 2)
    return [f"{first} {rest}"]


def draw_terms(dice: Dice, companies, clients) -> dict[str, str]:
    """Draw what is agreed between whom: the slots of every clause."""
    phrases = load_text("phrases")
    lands, towns = dice.sample(phrases["lands"], 2), dice.sample(phrases["towns"], 2)
    return {
        "provider": dice.choice(companies),
        "client": dice.choice(clients),
        "term": dice.choice(TERMS),
        "limit": dice.choice(LIMITS),
        "law": lands[0],
        "seat_land": lands[1],
        "town": towns[0],
        "town2": towns[1],
        "kind": dice.choice(KINDS),
        "fee": dice.choice(FEES),
        "days": dice.choice(DAYS),
        "visits": dice.choice(VISITS),
        "month": dice.choice(MONTHS),
        "day_of_month": str(1 + dice.index(28)),
        "number": str(100 + dice.index(900)),
    }


def draw_contract(dice: Dice, companies, clients, wordings: str = "train") -> Contract:
    """Draw one contract of 80 to 200 words.

    ``wordings`` says which wordings of the three key clauses to use: ``"train"``,
    ``"held_out"`` or ``"all"``.
    """
    stock, slots = load_text("contracts"), draw_terms(dice, companies, clients)
    fillers = dice.sample(sorted(stock["fillers"]), 1 + dice.index(2))
    pools = [stock["fillers"][name] for name in fillers]
    for field in ("term", "limit", "law"):
        groups = stock[field]
        pools.append(
            groups["train"] + groups["held_out"] if wordings == "all" else groups[wordings]
        )
    clauses = [expand(dice.choice(pool), dice, slots) for pool in dice.shuffled(pools)]
    layout = dice.choice(stock["layouts"])
    numbered = [
        expand(layout["clause"], dice, {"n": str(i + 1), "letter": "abcdefgh"[i], "clause": clause})
        for i, clause in enumerate(clauses)
    ]
    parts = {
        "title": expand(dice.choice(stock["titles"]), dice, slots),
        "opening": expand(dice.choice(stock["openings"]), dice, slots),
        "clauses": layout["join"].join(numbered),
        "signature": expand(dice.choice(stock["signatures"]), dice, slots),
    }
    text = expand(layout["text"], dice, parts)
    return Contract(text, *(slots[name] for name in ("provider", "client", "term", "limit", "law")))
