"""What a vote log says: win rates with intervals, Bradley–Terry strengths, the voter's habits.

Votes on one prompt are not independent of each other, so every interval treats a prompt as one
case: Wilson intervals count prompts, bootstraps draw whole prompts (paired.py).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from alignlab.evaluate import Score, wilson
from alignlab.paired import mean, strengths, unconnected
from alignlab.votes import Side, Vote

FEW = 10
ENOUGH, NOT_ENOUGH = "enough votes to tell them apart", "not enough votes yet"


@dataclass(frozen=True)
class Tally:
    """The votes between two models, seen from the first.

    Attributes:
        wins, losses, ties, both_bad, skips: how many votes of each kind.
        win_rate: (wins + ½ (ties + both_bad)) / (all but skips); its interval is a bootstrap over
            prompts, or Wilson's where every vote was decisive or there are fewer prompts than
            ``FEW``, for which a bootstrap is far too narrow. None without votes.
        decisive: wins / (wins + losses) with Wilson's interval. None without decisive votes.
        decided: whether the interval of ``win_rate`` leaves ½ out.
    """

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    both_bad: int
    skips: int
    win_rate: Score | None
    decisive: Score | None
    decided: bool


@dataclass(frozen=True)
class Statistics:
    """All that is worked out from votes.

    Attributes:
        pairs: one tally for every two models that were compared.
        by_task: the same by the prompts' tasks, where there are at least two.
        left_pick: share of decisive votes for the left side; far from ½, the voter prefers a side.
        length_difference: words of the chosen response minus words of the rejected one, mean.
        strengths: Bradley–Terry strengths (``paired.bradley_terry``), or None.
        no_strengths: why there are none.
    """

    pairs: list[Tally]
    by_task: dict[str, list[Tally]]
    left_pick: Score | None
    length_difference: Score | None
    strengths: dict[str, Score] | None
    no_strengths: str

    def as_dict(self) -> dict:
        """Return the statistics as plain lists and dictionaries, figures to four places."""
        return _rounded(asdict(self))


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


def statistics(votes: Sequence[Vote], models: Sequence[str] = ()) -> Statistics:
    """Work out everything from the votes that stand.

    Args:
        models: names in the order of interest: of two models the one named later is the tally's
            first. Others follow in the order of their names.
    """
    named = labels(votes)
    places = {name: place for place, name in enumerate(models)}
    order = sorted(named, key=lambda key: (-places.get(key[0], -1), named[key]))
    rank = {named[key]: place for place, key in enumerate(order)}
    compared = defaultdict(list)
    for vote in votes:
        pair = sorted((named[_key(vote.left)], named[_key(vote.right)]), key=rank.get)
        compared[tuple(pair)].append(vote)
    pairs = sorted(compared, key=lambda pair: (rank[pair[0]], rank[pair[1]]))
    tasks = sorted({vote.task for vote in votes})
    by_task = {}
    for task in tasks if len(tasks) > 1 else ():
        sliced = {pair: [v for v in compared[pair] if v.task == task] for pair in pairs}
        by_task[task] = [_tally(pair, part, named) for pair, part in sliced.items() if part]
    found, reason = _strengths(votes, list(rank), named)
    return Statistics(
        [_tally(pair, compared[pair], named) for pair in pairs], by_task, _left_pick(votes),
        _length_difference(votes), found, reason,
    )  # fmt: skip


def labels(votes: Iterable[Vote]) -> dict[tuple[str, str], str]:
    """Return the label of every model by its name and hash.

    It is the name; where one name stood for several models, a part of the hash follows.
    """
    hashes = defaultdict(dict)
    for vote in votes:
        for side in (vote.left, vote.right):
            hashes[side.name][side.hash] = None
    return {
        (name, digest): f"{name} ({digest[-8:]})" if len(found) > 1 else name
        for name, found in hashes.items()
        for digest in found
    }


def _key(side: Side) -> tuple[str, str]:
    return side.name, side.hash


def _prompt(vote: Vote) -> str:
    return repr(vote.prompt)


def _tally(pair: tuple[str, str], votes: Sequence[Vote], named: dict) -> Tally:
    counts = dict.fromkeys(("wins", "losses", "tie", "both_bad", "skip"), 0)
    cases, divided = defaultdict(list), set()
    for vote in votes:
        kind, score = vote.choice, 0.5
        if vote.chosen:
            won = named[_key(vote.chosen)] == pair[0]
            kind, score = ("wins", 1.0) if won else ("losses", 0.0)
            divided.add(_prompt(vote))
        counts[kind] += 1
        if kind != "skip":
            cases[_prompt(vote)].append(score)
    clear, total = counts["wins"] + counts["losses"], len(votes) - counts["skip"]
    share = _share(counts["wins"], clear, len(divided))
    if clear == total:
        rate = share
    elif len(cases) < FEW:
        rate = _share(sum(map(sum, cases.values())), total, len(cases))
    else:
        rate = _mean(cases)
    decided = rate is not None and not rate.low <= 0.5 <= rate.high
    return Tally(
        *pair, counts["wins"], counts["losses"], counts["tie"], counts["both_bad"],
        counts["skip"], rate, share, decided,
    )  # fmt: skip


def _share(successes: float, count: int, prompts: int) -> Score | None:
    """Return a share of votes, with Wilson's interval for as many cases as there are prompts."""
    return wilson(successes / count * prompts, prompts) if count else None


def _mean(cases: dict[str, list[float]]) -> Score | None:
    """Return the mean over all votes, given by prompt, with a bootstrap interval."""
    if not cases:
        return None
    totals = [sum(case) for case in cases.values()]
    return mean(np.array(totals, dtype=float), np.array([len(case) for case in cases.values()]))


def _left_pick(votes: Sequence[Vote]) -> Score | None:
    decisive = [vote for vote in votes if vote.chosen]
    left = sum(vote.choice == "left" for vote in decisive)
    return _share(left, len(decisive), len({_prompt(vote) for vote in decisive}))


def _length_difference(votes: Sequence[Vote]) -> Score | None:
    cases = defaultdict(list)
    for vote in votes:
        if vote.chosen:
            cases[_prompt(vote)].append(vote.chosen.words - vote.rejected.words)
    return _mean(cases)


def _strengths(votes: Sequence[Vote], models: list[str], named: dict):
    """Return Bradley–Terry strengths and "", or None and why there are none."""
    if len(models) < 3:
        return None, "there are fewer than three models"
    place = {name: i for i, name in enumerate(models)}
    cases = defaultdict(lambda: np.zeros((len(models), len(models))))
    for vote in votes:
        if vote.choice == "skip":
            continue
        left, right = (place[named[_key(side)]] for side in (vote.left, vote.right))
        score = {"left": 1.0, "right": 0.0}.get(vote.choice, 0.5)
        cases[_prompt(vote)][left, right] += score
        cases[_prompt(vote)][right, left] += 1 - score
    if not cases:
        return None, "every vote was skipped"
    wins = np.stack([*cases.values()])
    if apart := unconnected(wins.sum(0)):
        names = ", ".join(models[i] for i in apart)
        return None, f"no chain of votes connects {models[0]} with {names}"
    return dict(zip(models, strengths(wins))), ""


def report(found: Statistics) -> str:
    """Return the statistics as plain text."""
    lines = [line(tally) for tally in found.pairs] or ["no votes"]
    for task, tallies in found.by_task.items():
        lines += [f"task {task or '(none)'}:"] + [f"  {line(tally)}" for tally in tallies]
    if found.strengths:
        lines.append("Bradley–Terry strength, in log-odds:")
        lines += [f"  {name}: {interval(score)}" for name, score in found.strengths.items()]
    elif len(found.pairs) > 1:
        lines.append(f"no Bradley–Terry strengths: {found.no_strengths}")
    return "\n".join(lines + habits(found))


def line(tally: Tally) -> str:
    """Return one tally as a sentence: counts first, then the rate, then what it is worth."""
    text = (
        f"{tally.first} against {tally.second}: {tally.wins} wins, {tally.ties} ties, "
        f"{tally.losses} losses, {tally.both_bad} both bad, {tally.skips} skipped"
    )
    if tally.win_rate is None:
        return text
    text += f"; win rate {interval(tally.win_rate)}"
    return f"{text}: {ENOUGH if tally.decided else NOT_ENOUGH}"


def habits(found: Statistics) -> list[str]:
    """Return what the votes say about the voter, as sentences; none without decisive votes."""
    if found.left_pick is None:
        return []
    return [
        f"left side chosen in {interval(found.left_pick)} of the decisive votes",
        f"chosen minus rejected response: {interval(found.length_difference, '+.1f')} words",
    ]


def interval(score: Score, digits: str = ".2f") -> str:
    """Return a figure with its interval."""
    return f"{score.value:{digits}} [{score.low:{digits}}, {score.high:{digits}}]"
