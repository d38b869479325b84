"""Responses that a voter has seen with their models' names, and how good they truly are."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from alignlab.ballot import messages
from alignlab.compare import Comparison
from alignlab.votes import Vote
from alignlab.world.examples import Example
from alignlab.world.preferences import true_reward

Truth = Mapping[str, Callable[[str, str], float]]  # by prompt: model's name, response -> reward


@dataclass(frozen=True)
class Shown:
    """Responses to one prompt: by the models' names, how sampled, whether whole, since when."""

    prompt: list[dict]
    texts: Mapping[str, str]
    sampling: Mapping[str, object]
    complete: bool = False
    since: float = 0.0

    @property
    def key(self) -> str:
        """Return the prompt as a string."""
        return key(self.prompt)


def key(prompt: str | list[dict]) -> str:
    """Return a prompt as a string, the same for the same messages."""
    return json.dumps(messages(prompt), sort_keys=True)


def of_vote(vote: Vote) -> Shown:
    """Return what was shown when a vote was cast."""
    texts = {side.name: side.response for side in (vote.left, vote.right)}
    return Shown(vote.prompt, texts, vote.sampling, complete=True)


class Seen:
    """Collects what may be shown with names, for the tables below the panel.

    Args:
        names: the models, in the order of the columns.
        tasks: of the prompts, by ``key``.
        truth: where the true reward is known, what tells it.
    """

    def __init__(self, names: Sequence[str], tasks: Mapping[str, str], truth: Truth):
        self.names, self.tasks, self.truth = list(names), tasks, truth
        self._found: dict[str, Shown] = {}

    def add(self, shown: Shown) -> None:
        """Add responses; those of other models to the same prompt stay."""
        before = self._found.get(shown.key, shown)
        self._found[shown.key] = replace(shown, texts={**before.texts, **shown.texts})

    def score(self, shown: Shown, name: str) -> float | None:
        """Return the true reward of a response, or None where it is not known."""
        known = self.truth.get(shown.key)
        return known(name, shown.texts[name]) if known else None

    def comparisons(self) -> list[Comparison]:
        """Return everything that was added: for each set of models what all of them answered."""
        groups: dict[tuple[str, ...], list[Shown]] = {}
        for shown in self._found.values():
            names = tuple(name for name in self.names if name in shown.texts)
            groups.setdefault(names, []).append(shown)
        return [self._together(names, found) for names, found in groups.items()]

    def _together(self, names: Sequence[str], found: Sequence[Shown]) -> Comparison:
        sampling = dict(found[0].sampling)
        scores = None
        if all(shown.key in self.truth for shown in found):
            scores = {name: [self.score(shown, name) for shown in found] for name in names}
        return Comparison(
            [text_of(shown.prompt) for shown in found],
            [self.tasks.get(shown.key, "") for shown in found],
            {name: [shown.texts[name] for shown in found] for name in names},
            sampling if all(shown.sampling == sampling for shown in found) else {},
            scores,
        )


def text_of(prompt: list[dict]) -> str | list[dict]:
    """Return a prompt of one message from the user as its text, any other as it is."""
    alone = len(prompt) == 1 and prompt[0]["role"] == "user"
    return prompt[0]["content"] if alone else prompt


def truth_of(prompts: Sequence[str | list[dict] | Example]) -> Truth:
    """Return what tells the true reward of a response to those prompts that are the world's."""
    return {
        key(item.prompt): lambda name, text, meta=item.meta: true_reward(meta, text)
        for item in prompts
        if isinstance(item, Example)
    }


def truth_in(comparison: Comparison) -> Truth:
    """Return what tells the true reward of the responses of a comparison, if it has scores."""
    scores = comparison.scores
    return {
        key(prompt): lambda name, text, place=place: scores[name][place]
        for place, prompt in enumerate(comparison.prompts if scores else ())
    }
