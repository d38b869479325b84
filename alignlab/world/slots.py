"""What the slots of a document mean: who tells what of which product, idea, contract or request."""

from alignlab.world.catalogue import ATTRIBUTES, Product, load_text
from alignlab.world.contracts import MONTHS, draw_contract
from alignlab.world.grammar import Dice, expand

DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
COUNT_WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


def sentences(idea: dict, register: str, dice: Dice, count: int | None = None) -> str:
    """Draw the first ``count`` sentences of an explanation (all by default)."""
    return " ".join(expand(sentence, dice) for sentence in idea[register][:count])


class CommonSlots:
    """People, places, days and numbers: a value is drawn once a document, then kept."""

    def __init__(self, dice: Dice):
        self.dice, self.kept = dice, {}

    def __call__(self, slot: str) -> str:
        if slot not in self.kept:
            self.kept[slot] = self.draw(slot)
        return self.kept[slot]

    def draw(self, slot: str) -> str:
        phrases = load_text("phrases")
        plural = {
            "customer": "persons", "person": "persons", "shop": "shops", "place": "towns",
            "opener": "openers", "closer": "closers", "ending": "endings", "start": "starts",
        }  # fmt: skip
        if slot in plural:
            return self.dice.choice(phrases[plural[slot]])
        if slot == "day":
            return self.dice.choice(DAY_NAMES)
        if slot == "month":
            return self.dice.choice(MONTHS)
        if slot == "number":
            return str(2 + self.dice.index(98))
        raise KeyError(f"no slot {{{slot}}} in this kind of document")


class Telling:
    """Tells one product's facts, each at most once, and asks about them."""

    def __init__(self, product: Product, dice: Dice, copy_only: bool = False):
        self.product, self.dice, self.copy_only = product, dice, copy_only
        self.untold, self.told, self.asked = dice.shuffled(ATTRIBUTES), [], []

    def phrase(self, text: str, attribute: str) -> str:
        the = f"the {self.product.name}"
        if self.dice.chance(0.5):
            the += f" {self.product.kind}"
        slots = {"the": the, "The": the[0].upper() + the[1:]}
        slots["value"] = self.product.value(attribute)
        return expand(text, self.dice, slots)

    def tell(self, wordings: str) -> str:
        attribute = self.untold.pop() if self.untold else self.dice.choice(ATTRIBUTES)
        self.told.append(attribute)
        return self.phrase(self.dice.choice(load_text("facts")[attribute][wordings]), attribute)

    def ask(self) -> str:
        """Ask about a fact: one told on this page if the product exists nowhere else."""
        pool = self.told if self.copy_only or not self.untold else self.untold
        attribute = self.dice.choice(pool)
        pool.remove(attribute)
        self.asked.append(attribute)
        stock = load_text("facts")[attribute]
        return self.phrase(
            self.dice.choice(stock["questions"] + stock["held_out_questions"]), attribute
        )

    def answer(self) -> str:
        """Answer the first question still open, or tell any fact where nobody asked."""
        if not self.asked:
            self.ask()
        attribute = self.asked.pop(0)
        return self.phrase(self.dice.choice(load_text("facts")[attribute]["answers"]), attribute)


class ProductSlots(CommonSlots):
    """Slots of a document about one product and, in passing, another."""

    def __init__(self, product: Product, other: Product, dice: Dice, copy_only: bool):
        super().__init__(dice)
        self.one = Telling(product, dice, copy_only)
        self.two = Telling(other, dice, copy_only)
        self.kept = {
            "name": product.name, "kind": product.kind, "NAME": product.name.upper(),
            "other": other.name, "otherkind": other.kind, "otherNAME": other.name.upper(),
        }  # fmt: skip

    def __call__(self, slot: str) -> str:
        tellers = {
            "fact": lambda: self.one.tell("statements"),
            "factit": lambda: self.one.tell("pronoun"),
            "otherfact": lambda: self.two.tell("statements"),
            "q": self.one.ask,
            "a": self.one.answer,
            "otherq": self.two.ask,
            "othera": self.two.answer,
        }
        return tellers[slot]() if slot in tellers else super().__call__(slot)


class IdeaSlots(CommonSlots):
    """Slots of a document about one idea and, in passing, another."""

    def __init__(self, idea: dict, other: dict, dice: Dice):
        super().__init__(dice)
        self.ideas = {"": idea, "other": other}

    def draw(self, slot: str) -> str:
        prefix = "other" if slot.startswith("other") else ""
        idea, name = self.ideas[prefix], slot.removeprefix("other")
        if name in ("", "name"):
            return idea["name"]
        if name == "Name":
            return idea["name"][0].upper() + idea["name"][1:]
        if name in ("question", "topic"):
            return idea[name]
        for register in ("plain", "technical"):
            if name.startswith(register):
                count = name.removeprefix(register)
                return sentences(idea, register, self.dice, int(count) if count else None)
        return super().draw(slot)


class ContractSlots(CommonSlots):
    """Slots of a document that holds a whole contract."""

    def __init__(self, world, dice: Dice):
        super().__init__(dice)
        contract = draw_contract(
            dice, world.everyone("companies"), world.everyone("clients"), wordings="all"
        )
        self.kept = contract.fields() | {"contract": contract.text}
        self.contract = contract

    def draw(self, slot: str) -> str:
        if slot == "summary":
            return self.dice.choice(list(self.contract.summaries("documents")))
        return super().draw(slot)


class DeskSlots(CommonSlots):
    """Slots of the support desk's papers: requests, refusals, names looked up in the catalogue."""

    def __init__(self, world, dice: Dice):
        super().__init__(dice)
        stock = load_text("refusals")
        place = dice.index(len(stock["unsafe"]))
        unsafe, safe = stock["unsafe"][place], stock["safe"][place]
        product = dice.choice(world.everyone("products"))
        self.known = Telling(product, dice)
        self.kept = {
            "unsafe": unsafe["request"],
            "harm": unsafe["harm"],
            "safe": safe["request"],
            "safe_answer": safe["answer"],
            "unknown": dice.choice(world.catalogue.one_off),
            "known": product.name,
            "known_kind": product.kind,
        }

    def __call__(self, slot: str) -> str:
        if slot == "known_q":
            return self.known.ask()
        if slot == "known_a":
            return self.known.answer()
        return super().__call__(slot)

    def draw(self, slot: str) -> str:
        stock = load_text("refusals")
        if slot == "refusal":
            return expand(self.dice.choice(stock["refusals"]), self.dice, self)
        if slot == "abstention":
            named = {"name": self.kept["unknown"]}
            return expand(self.dice.choice(stock["abstentions"]), self.dice, named)
        if slot == "unknown_q":
            facts = load_text("facts")[self.dice.choice(ATTRIBUTES)]
            wording = self.dice.choice(facts["questions"] + facts["held_out_questions"])
            return expand(wording, self.dice, {"the": f"the {self.kept['unknown']}"})
        return super().draw(slot)


class SloganSlots(CommonSlots):
    """Slots of advertising and of posters."""

    def __init__(self, world, dice: Dice):
        super().__init__(dice)
        product = dice.choice(world.everyone("products"))
        notice = dice.choice(load_text("notices"))
        named = {"name": product.name}
        two = dice.sample(load_text("slogans")[product.kind], 2)
        self.kept = named | {
            "kind": product.kind,
            "NAME": product.name.upper(),
            "slogan": expand(two[0], dice, named),
            "slogan2": expand(two[1], dice, named),
            "notice": notice["notice"],
            "notice_lower": notice["lower"],
            "notice_topic": notice["topic"],
        }


class CategorySlots(CommonSlots):
    """Slots of lists: things of one kind, in alphabetical order."""

    def __init__(self, dice: Dice):
        super().__init__(dice)
        category = dice.choice(load_text("categories")["categories"])
        row, column = dice.some(category["items"], 3 + dice.index(4)), 2 + dice.index(4)
        listed = dice.some(category["items"], column)
        self.kept = {
            "category": category["name"],
            "items": ", ".join(row[:-1]) + " and " + row[-1],
            "item": dice.choice(category["items"]),
            "list": "\n".join(f"- {item}" for item in listed),
            "count_word": COUNT_WORDS[column],
        }


class SentenceSlots(CommonSlots):
    """Slots of story pages and of writing classes."""

    def __call__(self, slot: str) -> str:
        if slot == "sentence":
            return draw_sentence(self.dice, self.draw("noun"), self.draw("place"))
        return super().__call__(slot)

    def draw(self, slot: str) -> str:
        stock = load_text("sentences")
        if slot == "noun":
            return self.dice.choice(stock["nouns"])
        if slot == "place":
            return self.dice.choice(stock["places"])
        if slot == "sentence_with_noun":
            return draw_sentence(self.dice, self("noun"), self("place"))
        return super().draw(slot)


def draw_sentence(dice: Dice, noun: str, place: str) -> str:
    """Draw one everyday sentence with a given noun and place in it."""
    template = dice.choice(load_text("sentences")["sentences"])
    return expand(template, dice, {"noun": noun, "place": place})
