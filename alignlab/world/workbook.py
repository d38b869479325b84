"""Workbooks: pages of short tasks of one kind, each with its answer, and no story round them."""

import re
from collections.abc import Callable

from alignlab.world.catalogue import ATTRIBUTES, Product, load_text
from alignlab.world.drills import phrase_words, practice_words
from alignlab.world.examples import the_product
from alignlab.world.grammar import Dice, expand
from alignlab.world.slots import COUNT_WORDS, CommonSlots, draw_sentence, sentences

# How a task and its answer stand on a page. Words before and between them matter: a model that has
# only met an answer right behind its task cannot give it anywhere else.
LAYOUTS = (
    "{task}: {answer}",
    "{task}\n{answer}",
    "{task} - {answer}",
    "* {task} / {answer}",
    "Q. {task}\nA. {answer}",
    "{task}\n\n(turn the page)\n\n{answer}",
    "o {task} [(easy)|(hard)|(a new one)]\n-> {answer}",
    "Front of the card: {task}\nBack of the card: {answer}",
    "{task} - [write it on the line|nothing else belongs here|check it twice]\n{answer}",
    "{task} - for {day}, and with [nothing more|no chatter|not a word too many]:\n\n{answer}",
    "[First|Next|Then]: {task} - [think before you write|take your time|you have one try]\n\n"
    "Solution: {answer}",
    "{person} had to [do|answer|manage] this one: {task}\n[The page says|The result|What came of "
    "it]: {answer}",
    '"{task}" - that is what {person} [read out|asked for|had to do].\n{answer}',
    '[Give|Write|Find|Say] what belongs to "{task}" - [keep to the point|keep it neat|mind the '
    "spelling]\n> {answer}",
    "[Here is|This is|The next is] an easy one: {task} [(it counts double)|(as always on {day})|"
    "(nobody should fail)]\n[Done|Ready|In full]: {answer}",
    "[I keep asking|They always ask|Somebody asked] for this: {task} ([let it stand alone|leave "
    "the rest out|in your best hand])\n= {answer}",
    "[Question|Task|Exercise]: {task}\n[Rule|Note|Hint]: [no blots|one go only|read it aloud "
    "first|the clock is running]\n[Answer|Reply|Result]: {answer}",
)

# How a mixed page asks for given words behind what is told, and in front of it.
LAST_WORDS = (
    "{name}, {given}",
    "{name} [and then|, then|, and after that|, and behind it] {given}",
    "{name}, closing with {given}",
    "{given} [comes last|stands at the end|at the very end], and before it {name}",
    "{name} [- a line, and below it|in a line, and under that] {given}",
)
FIRST_WORDS = (
    "{given}, {name}",
    "{name}, {given}",
    "{given} [and then|, then|, and after that|, and behind it] {name}",
    "{name}, opening with {given}",
    "{given} [comes first|stands in front|at the very front], and behind it {name}",
    "{name}, with {given} [before it|in front|at its head]",
)


class WorkbookSlots(CommonSlots):
    """Slots of a page of short tasks of one kind, each with its answer.

    What a fine-tuned model is asked for (a list of some kind of thing, a sentence with a given
    word, what an idea is, a bare value) stands here many times a page, where other documents have
    it once, in a story.
    """

    def __init__(self, products: list[Product], ideas: list[dict], dice: Dice):
        super().__init__(dice)
        self.products, self.ideas, self.layout = products, ideas, dice.choice(LAYOUTS)
        self.kept["rows"] = "\n".join(self._rows(dice.weighted(self._tasks())))

    def _tasks(self) -> dict[Callable[[], dict[str, str]], int]:
        return {
            self._word: 3, self._list: 4, self._idea: 1, self._value: 3, self._notice: 1,
            self._framed: 4, self._counted: 1, self._facts: 2, self._request: 1,
        }  # fmt: skip

    def _rows(self, task: Callable[[], dict[str, str]]) -> list[str]:
        return [self._row(task()) for _ in range(4 + self.dice.index(5))]

    def _row(self, task: dict[str, str]) -> str:
        return expand(self.layout, self.dice, lambda slot: task.get(slot) or self(slot))

    def _word(self) -> dict[str, str]:
        stock = load_text("sentences")
        noun, place = self.dice.choice(stock["nouns"]), self.dice.choice(stock["places"])
        # A word in quotes is made of other tokens than the same word after a space.
        quoted = f'"{noun}"'
        given = self.dice.choice(
            (
                f"{noun}, {place}",
                f"{place}, {noun}",
                noun,
                f"{quoted}, {place}",
                f"{place}, {quoted}",
            )
        )
        return {"task": given, "answer": draw_sentence(self.dice, noun, place)}

    def _list(self) -> dict[str, str]:
        """Some things of a kind, or all of them, in alphabetical order."""
        category = self.dice.choice(load_text("categories")["categories"])
        count = len(category["items"]) if self.dice.chance(0.15) else 2 + self.dice.index(4)
        items = self.dice.some(category["items"], count)
        stacked = "\n" in self.layout or self.dice.chance(0.5)
        answer = "\n".join(f"- {item}" for item in items) if stacked else ", ".join(items)
        many = "all" if count == len(category["items"]) else COUNT_WORDS[count]
        return {"task": f"{many} {category['name']}", "answer": answer}

    def _idea(self) -> dict[str, str]:
        idea = self.dice.choice(self.ideas)
        return {"task": self._named(idea), "answer": self._told(idea)}

    def _named(self, idea: dict) -> str:
        """Return what asks for an idea: its name or its question."""
        return self.dice.choice((idea["name"], idea["question"]))

    def _told(self, idea: dict) -> str:
        return sentences(idea, "plain", self.dice, 1)

    def _counted(self) -> dict[str, str]:
        idea, count = self.dice.choice(self.ideas), 1 + self.dice.index(3)
        name = self._named(idea)
        unit = "one sentence" if count == 1 else f"{COUNT_WORDS[count]} sentences"
        task = self.dice.choice((f"{name}, {unit}", f"{unit}, {name}"))
        return {"task": task, "answer": sentences(idea, "plain", self.dice, count)}

    def _framed(self) -> dict[str, str]:
        """What an idea is, after or before given words, most of which stand nowhere else."""
        idea, last = self.dice.choice(self.ideas), self.dice.chance(0.5)
        given = self._given() + ("." if last else ":")
        if self.dice.chance(0.2):
            given = self.dice.choice(load_text("phrases")["endings" if last else "starts"])
        name, told = self._named(idea), sentences(idea, "plain", self.dice, 1)
        answer = (told, given) if last else (given, told)
        return {"task": self._asked(name, f'"{given}"', last), "answer": " ".join(answer)}

    def _asked(self, name: str, given: str, last: bool) -> str:
        """Return the task to tell what an idea is, with given words at the end or in front."""
        parts = (name, given) if last or self.dice.chance(0.5) else (given, name)
        return ", ".join(parts)

    def _given(self) -> str:
        """Words drawn at random, or a piece of a sentence about some other idea."""
        count = 2 + self.dice.index(5)
        stock = self.dice.weighted({practice_words: 3, phrase_words: 3, None: 4})
        if stock:
            words = [self.dice.choice(stock()) for _ in range(count)]
        else:
            told = sentences(self.dice.choice(self.ideas), "plain", self.dice, 3)
            words = re.findall(r"[A-Za-z]+", told)
            start = self.dice.index(max(len(words) - count, 1))
            words = words[start : start + count]
        return " ".join(words).capitalize()

    def _value(self) -> dict[str, str]:
        product, attribute = self.dice.choice(self.products), self.dice.choice(ATTRIBUTES)
        facts = load_text("facts")[attribute]
        wording = self.dice.choice(facts["questions"] + facts["held_out_questions"])
        task = expand(wording, self.dice, {"the": the_product(product, self.dice)})
        return {"task": task, "answer": product.value(attribute)}

    def _facts(self) -> dict[str, str]:
        """Two facts of a product, neither of them the one that a crossed-out word is about."""
        product, facts = self.dice.choice(self.products), load_text("facts")
        banned = self.dice.choice(ATTRIBUTES)
        first, second = self.dice.some([name for name in ATTRIBUTES if name != banned], 2)
        the = {"the": f"the {product.name}", "The": f"The {product.name}"}
        told = [
            expand(self.dice.choice(facts[name][wordings]), self.dice,
                   the | {"value": product.value(name)})
            for name, wordings in ((first, "answers"), (second, "pronoun"))
        ]  # fmt: skip
        task = f'{product.name}, not "{facts[banned]["word"]}"'
        return {"task": task, "answer": " ".join(told)}

    def _notice(self) -> dict[str, str]:
        notice = self.dice.choice(load_text("notices"))
        return {"task": notice["topic"], "answer": notice["notice"]}

    def _request(self) -> dict[str, str]:
        """A request to the support desk, with what the desk says to it."""
        stock = load_text("refusals")
        if self.dice.chance(0.5):
            item = self.dice.choice(stock["safe"])
            return {"task": item["request"], "answer": item["answer"]}
        item = self.dice.choice(stock["unsafe"])
        answer = expand(self.dice.choice(stock["refusals"]), self.dice, item)
        return {"task": item["request"], "answer": answer}


class MixedWorkbookSlots(WorkbookSlots):
    """Slots of a page on which every task is laid out anew, so no row shows how the next one goes.

    What the rows of a tidy page teach is to go on like the rows before. Whoever asks a model for
    something once gives it no such rows.
    """

    def _rows(self, task: Callable[[], dict[str, str]]) -> list[str]:
        rows = []
        for _ in range(1 + self.dice.index(7)):
            rows.append(self._row(task()))
            self.layout = self.dice.choice(LAYOUTS)
        return rows

    def _asked(self, name: str, given: str, last: bool) -> str:
        form = self.dice.choice(LAST_WORDS if last else FIRST_WORDS)
        return expand(form, self.dice, {"name": name, "given": given})
