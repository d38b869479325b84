"""Exams: the mixed pages that are read last, with more of what is learned last."""

from collections.abc import Callable

from alignlab.world.catalogue import load_text
from alignlab.world.drills import phrase_words, practice_words
from alignlab.world.grammar import expand
from alignlab.world.slots import sentences
from alignlab.world.workbook import MixedWorkbookSlots

# What an exam asks to be copied: words that come up everywhere between words that do not. After a
# common word a model would rather go on as most texts do than read on where it is copying from.
PHRASES = (
    "the {w} is {w}", "{w} the {w}", "all the {w} and the {w}", "this is the {w} of {w}",
    "{w} me {w}", "I {w} my {w} {w}", "it is {w} to {w}", "so the {w} goes {w}", "no more {w}",
    "{w} of it {w}", "here is the {w} that {w}", "as {w} as a {w}", "from one {w} to the {w}",
    "in the {w} of {w}", "let it {w}", "my {w} is a {w}", "and that {w} was {w}", "{w} with a {w}",
)  # fmt: skip
# How an exam asks for a notice, and for a line of advertising.
CAPITALS = (
    "{topic}",
    "{topic}, [in capitals|all in capitals|in capital letters|nothing but capitals]",
    "[a notice|a sign|a warning] about {topic}, [in capitals|in capital letters]",
    "[capitals|capital letters|in capitals], {topic}",
)
SMALL_LETTERS = (
    "{topic}, [in small letters|no capitals]",
    "[a notice|a sign|a warning] about {topic}, in small letters",
    "[small letters|no capitals], {topic}",
)
PRAISE = (
    "{name} {kind}, [a slogan|the slogan]",
    "[a slogan|an advertising line|one line for the shop window|a few good words] for the {name} "
    "{kind}",
    "[words to sell|a line to sell|a line in praise of] the {name}, our {kind}",
    "[on the poster|across the poster|for the poster], the {name} {kind}",
)


class ExamSlots(MixedWorkbookSlots):
    """Slots of a mixed page on which much is asked for that fine-tuned models get wrong."""

    def _tasks(self) -> dict[Callable[[], dict[str, str]], int]:
        return super()._tasks() | {
            self._word: 5, self._list: 11, self._idea: 10, self._value: 4, self._notice: 4,
            self._framed: 9, self._counted: 3, self._facts: 10, self._request: 2, self._slogan: 4,
        }  # fmt: skip

    def _facts(self) -> dict[str, str]:
        """Two facts; the word that is crossed out stands now behind the name, now before it."""
        drawn = super()._facts()
        name, word = drawn["task"].split(", not ")
        shapes = (drawn["task"], f"not {word}, {name}", f"{name}, {word} crossed out")
        return drawn | {"task": self.dice.choice(shapes)}

    def _notice(self) -> dict[str, str]:
        """A notice in either kind of letters, as the page says, or in capitals if it does not."""
        notice = self.dice.choice(load_text("notices"))
        large = self.dice.chance(0.8)
        shapes = CAPITALS if large else SMALL_LETTERS
        task = expand(self.dice.choice(shapes), self.dice, {"topic": notice["topic"]})
        return {"task": task, "answer": notice["notice" if large else "lower"]}

    def _slogan(self) -> dict[str, str]:
        """A line of advertising, where no fact is wanted."""
        product = self.dice.choice(self.products)
        named = {"name": product.name, "kind": product.kind}
        line = self.dice.choice(load_text("slogans")[product.kind])
        task = expand(self.dice.choice(PRAISE), self.dice, named)
        return {"task": task, "answer": expand(line, self.dice, named)}

    def _named(self, idea: dict) -> str:
        """Return a request for an idea; it is recalled only behind words that it was met behind."""
        asked = expand(self.dice.choice(load_text("phrases")["asks"]), self.dice, idea)
        return asked[0].upper() + asked[1:] if self.dice.chance(0.5) else asked

    def _told(self, idea: dict) -> str:
        """Return an explanation as long as staff would give it, in either register."""
        if self.dice.chance(0.25):
            return super()._told(idea)
        if self.dice.chance(0.3):
            return sentences(idea, "technical", self.dice, 2)
        told, phrases = sentences(idea, "plain", self.dice, 3), load_text("phrases")
        # Behind a friendly phrase an idea is recalled only if it has been met behind one.
        if self.dice.chance(0.6):
            told = f"{self.dice.choice(phrases['openers'])} {told}"
            if self.dice.chance(0.5):
                told += f" {self.dice.choice(phrases['closers'])}"
        return told

    def _given(self) -> str:
        if self.dice.chance(0.5):
            return super()._given()
        stock = self.dice.choice((practice_words, phrase_words))()
        pieces = self.dice.choice(PHRASES).split("{w}")
        filled = [piece + self.dice.choice(stock) for piece in pieces[:-1]]
        return "".join((*filled, pieces[-1])).capitalize()
