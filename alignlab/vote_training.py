"""From votes to a model: DPO on a vote log, and what the votes taught beside the true reward."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from datasets import Dataset

from alignlab import votes
from alignlab.compare import Comparison, respond
from alignlab.dpo import dpo
from alignlab.evaluate import Score, bootstrap
from alignlab.panel import Panel
from alignlab.vote_statistics import interval
from alignlab.world.examples import Example
from alignlab.world.grammar import Dice
from alignlab.world.preferences import WEIGHTS, Annotator, reward_parts, true_reward
from alignlab.world.recipes import CAREFUL

# Fewer votes than the bundled preference data have: more passes. DPO alone would soon forget what a
# right answer is; the likelihood of the chosen one, added to the loss, holds it (``dpo.ANCHORED``).
RECIPE = {
    "learning_rate": 7e-4,
    "loss_type": ["sigmoid", "sft"],
    "loss_weights": [1.0, 1.0],
    "num_train_epochs": 6,
    "per_device_train_batch_size": 8,
    "warmup_steps": 2,
}
ENOUGH = 16  # votes for one side, below which a win rate can hardly be told from ½


def two_samples(
    model: str | Path, prompts: Sequence, *, temperature: float = 0.7, max_new_tokens: int = 128,
    seed: int = 0,
) -> Comparison:  # fmt: skip
    """Let one model answer every prompt twice, to be voted on: the data that DPO learns best from.

    Args:
        prompts: as for ``compare.respond``.
        temperature: at 1 some four in ten of the bundled model's explanations are wrong or broken,
            so that votes tell little but which one is whole.
        seed: of the first answers; the second ones have the next.

    Returns:
        A comparison with the columns ``"one"`` and ``"other"``.
    """
    settings = {"temperature": temperature, "max_new_tokens": max_new_tokens}
    one, other = (
        respond({"": model}, prompts, seed=number, **settings) for number in (seed, seed + 1)
    )
    scores = {"one": one.scores[""], "other": other.scores[""]} if one.scores else None
    responses = {"one": one.responses[""], "other": other.responses[""]}
    return Comparison(one.prompts, one.tasks, responses, settings | {"seed": seed}, scores)


def simulate(
    panel: Panel,
    examples: Sequence[Example],
    count: int,
    annotator: Annotator = CAREFUL,
    seed: int = 0,
) -> None:
    """Cast votes in a panel as an annotator of known reward would; ties where texts are the same.

    Args:
        panel: one on responses that were made before, to these examples.
        count: how many votes; fewer where the items run out.
    """
    metas = {example.prompt: example.meta for example in examples}
    dice, ballot = Dice(f"simulate:{seed}"), panel.ballot
    for _ in range(count):
        item = ballot.item
        if ballot.voted(item):
            return
        shown = panel.made_before()
        left, right = (shown.texts[name] for name in item.sides)
        choice = "tie"
        if left != right:
            p = annotator.prefers_first(metas[item.prompt[-1]["content"]], left, right)
            choice = "left" if dice.chance(p) else "right"
        ballot.cast(choice, shown.texts, shown.sampling)
        ballot.move(1)


@dataclass(frozen=True)
class Lesson:
    """What a model learned from votes.

    Attributes:
        run: the DPO run.
        comparisons: how many votes it was trained on; ``dropped`` says why the others were not.
        before_after: responses of the model before and after, to prompts nobody voted on.
        win_rate: how often the later response has the higher reward; None where the reward is not
            known.
        parts: by the part of the reward, its mean before and after.
        panel: the panel to vote in again.
    """

    run: Path
    comparisons: int
    dropped: dict[str, int]
    before_after: Comparison
    win_rate: Score | None
    parts: dict[str, tuple[float, float]]
    panel: Panel

    def report(self) -> str:
        """Return what was learned as plain text."""
        dropped = ", ".join(f"{reason} {count}" for reason, count in self.dropped.items() if count)
        lines = [f"{self.comparisons} votes trained on; left out: {dropped or 'none'}"]
        if self.win_rate is None:
            return "\n".join([*lines, "the true reward of these prompts is not known"])
        lines.append(
            f"after against before, by the reward: win rate {interval(self.win_rate)} "
            f"on {self.win_rate.n} prompts"
        )
        lines += [
            f"{name:10} {before:.2f} -> {after:.2f}" for name, (before, after) in self.parts.items()
        ]
        return "\n".join(lines)

    def _ipython_display_(self) -> None:
        print(self.report())
        self.panel._ipython_display_()


def vote_and_train(
    log: str | Path,
    model: str | Path,
    output: str | Path,
    prompts: Sequence[str | list[dict] | Example],
    *,
    at_least: int = ENOUGH,
    weights: dict[str, float] = WEIGHTS,
    temperature: float = 0.7,
    max_new_tokens: int = 128,
    **options,
) -> Lesson:
    """Train a model by DPO on the votes of a log, compare it with itself before, and vote again.

    Args:
        log: the vote log; votes in the new panel go to the same file.
        model: what the votes were about, as for ``dpo.dpo``; also the reference.
        output: the run folder to write.
        prompts: to compare on; other ones than those voted on. Where all are examples of the
            world, the reward says what was learned.
        at_least: how many votes must prefer a side.
        weights: of the reward's parts: what the voter wished for, by default the true reward's.
        options: as for ``dpo.dpo``.

    Raises:
        ValueError: too few votes to learn from.
        DataError, RunError, ModelError: as ``votes.load`` and ``dpo.dpo``.
    """
    rows, dropped = votes.preference_rows(votes.load(log).votes)
    if len(rows) < at_least:
        raise ValueError(
            f"{log}: {len(rows)} votes prefer one of two different responses; that is too few to "
            f"learn from, {at_least} are needed (at_least)"
        )
    options = {"data_name": str(log), **RECIPE, **options}
    run = dpo(model, Dataset.from_list(rows), output, **options)
    comparison = respond(
        {"before": model, "after": run}, prompts, temperature=temperature,
        max_new_tokens=max_new_tokens,
    )  # fmt: skip
    means, win_rate = {}, None
    if comparison.scores is not None:
        means, win_rate = _parts(comparison, prompts, weights)
    return Lesson(
        run, len(rows), dropped, comparison, win_rate, means,
        Panel(
            {"before": model, "after": run}, prompts, log=log, temperature=temperature,
            max_new_tokens=max_new_tokens,
        ),
    )  # fmt: skip


def _parts(
    comparison: Comparison, examples: Sequence[Example], weights: dict[str, float]
) -> tuple[dict[str, tuple[float, float]], Score]:
    """Return the means of the reward's parts and of the whole, before and after, and the win rate.

    Equal rewards count as half a win.
    """
    before, after = (
        [
            {**reward_parts(e.meta, text), "reward": true_reward(e.meta, text, weights)}
            for e, text in zip(examples, comparison.responses[name])
        ]
        for name in ("before", "after")
    )
    means = {
        part: (fmean(row[part] for row in before), fmean(row[part] for row in after))
        for part in before[0]
    }
    gaps = [b["reward"] - a["reward"] for a, b in zip(before, after)]
    return means, bootstrap([0.5 if abs(gap) < 1e-9 else float(gap > 0) for gap in gaps])
