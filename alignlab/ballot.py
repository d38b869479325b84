"""What is asked next in a vote, on which side each model stands, and what has been voted.

No widgets here: ``panel`` shows a ballot, a test can fill one in.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from alignlab import votes
from alignlab.vote_statistics import Statistics, statistics
from alignlab.votes import Side, Vote


@dataclass(frozen=True)
class Item:
    """One question to the voter: a prompt, and which model stands on which side."""

    prompt: list[dict]
    task: str
    left: str
    right: str

    @property
    def sides(self) -> tuple[str, str]:
        """Return the models' names from left to right."""
        return self.left, self.right


@dataclass(frozen=True)
class Identity:
    """Where a model came from, and a digest of its weights or of what it said."""

    model: str
    hash: str


def messages(prompt: str | list[dict]) -> list[dict]:
    """Return a prompt as a list of messages."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


class Ballot:
    """The items of a vote, the log, and the place where the voter is.

    Every pair of models is asked on every prompt: first each prompt once, with the pairs in turn,
    so that few votes already connect all models; then again with the next pair.

    Args:
        models: by name; two or more.
        prompts, tasks: as in ``compare.Comparison``.
        log: the vote log; votes that stand in it already are not asked again.
        seed: of the sides.

    Raises:
        DataError: a log that cannot be read.
    """

    def __init__(
        self,
        models: Mapping[str, Identity],
        prompts: Sequence[str | list[dict]],
        tasks: Sequence[str],
        log: str | Path,
        seed: int = 0,
    ):
        self.models, self.log, self.seed = models, Path(log), seed
        self.notices: list[str] = []
        self.votes: list[Vote] = []
        self._own: list[Vote] = []
        self._seen: set[str] = set()
        self.items = []
        pairs = list(combinations(models, 2))
        for turn in range(len(pairs)):
            for number, (prompt, task) in enumerate(zip(prompts, tasks)):
                pair = pairs[(number + turn) % len(pairs)]
                self.items.append(self._item(messages(prompt), task, pair))
        self._read()
        self.place = next((i for i, item in enumerate(self.items) if not self.voted(item)), 0)
        self.item = self.items[self.place]

    def _item(self, prompt: list[dict], task: str, pair: Sequence[str]) -> Item:
        dice = random.Random(f"{self.seed}:{json.dumps(prompt, sort_keys=True)}:{sorted(pair)}")
        return Item(prompt, task, *dice.sample(sorted(pair), 2))

    def _read(self) -> None:
        if not self.log.exists():
            self.votes = []
            return
        found = votes.load(self.log)
        known = {(name, model.hash) for name, model in self.models.items()}
        own = [v for v in found.votes if known >= {(s.name, s.hash) for s in (v.left, v.right)}]
        self.votes, self.notices = own, found.notices
        if others := len(found.votes) - len(own):
            self.notices = [*self.notices, f"{others} votes in {self.log} are about other models"]

    def voted(self, item: Item) -> bool:
        """Say whether there is a vote on this prompt about these two models."""
        return any(_about(vote, item) for vote in self.votes)

    def vote_on(self, item: Item, texts: Mapping[str, str]) -> Vote | None:
        """Return the vote on this item with these very responses, or None."""
        said = {(name, texts.get(name)) for name in item.sides}
        for vote in self.votes:
            if _about(vote, item) and {(s.name, s.response) for s in _sides(vote)} == said:
                return vote
        return None

    def move(self, step: int) -> bool:
        """Go to the next item without a vote (``step`` 1) or one back (-1).

        Returns:
            Whether there is an item without a vote; if not, the step goes to the neighbour.
        """
        count = len(self.items)
        order = [(self.place + step * n) % count for n in range(1, count + 1)]
        open_ = [place for place in order if not self.voted(self.items[place])]
        self.place = open_[0] if open_ and step > 0 else order[0]
        self.item = self.items[self.place]
        return bool(open_)

    def ask(self, text: str) -> None:
        """Ask another prompt instead of the item's: its last message with a new text."""
        if text != self.item.prompt[-1]["content"]:
            prompt = [*self.item.prompt[:-1], {**self.item.prompt[-1], "content": text}]
            self.item = self._item(prompt, "", self.item.sides)

    def peek(self) -> None:
        """Note that the voter has seen who says what here, so a vote is not blind any more."""
        self._seen.add(_key(self.item))

    def cast(
        self,
        choice: votes.Choice,
        texts: Mapping[str, str],
        sampling: Mapping[str, object],
        reasons: Sequence[str] = (),
        seconds: float = 0.0,
    ) -> Vote:
        """Write a vote on the present item; when this returns, it is on the disk.

        Raises:
            OSError: the vote could not be saved.
        """
        left, right = (self._side(name, texts[name]) for name in self.item.sides)
        vote = votes.cast(
            prompt=self.item.prompt, task=self.item.task, sampling=dict(sampling), left=left,
            right=right, choice=choice, reasons=list(reasons), seconds=round(seconds, 1),
            blind=_key(self.item) not in self._seen,
        )  # fmt: skip
        votes.append(self.log, vote)
        self._own.append(vote)
        self.peek()
        self._read()
        return vote

    def _side(self, name: str, text: str) -> Side:
        model = self.models[name]
        return Side(
            name=name, model=model.model, hash=model.hash, response=text, words=len(text.split())
        )

    def undo(self) -> Vote | None:
        """Take back the last vote that was cast here and go to its item; None if there is none."""
        if not self._own:
            return None
        vote = self._own[-1]
        votes.append(self.log, votes.withdrawal(vote))
        self._own.pop()
        self.item = Item(vote.prompt, vote.task, vote.left.name, vote.right.name)
        self.place = self.items.index(self.item) if self.item in self.items else self.place
        self._read()
        return vote

    def statistics(self) -> Statistics:
        """Return what the votes about these models say."""
        return statistics(self.votes, list(self.models))


def _sides(vote: Vote) -> tuple[Side, Side]:
    return vote.left, vote.right


def _about(vote: Vote, item: Item) -> bool:
    return vote.prompt == item.prompt and {s.name for s in _sides(vote)} == {*item.sides}


def _key(item: Item) -> str:
    return json.dumps([item.prompt, sorted(item.sides)], sort_keys=True)
