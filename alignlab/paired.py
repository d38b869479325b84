"""Paired comparisons as arrays: bootstraps that draw whole prompts, Bradley–Terry strengths.

Comparisons on one prompt are not independent of each other, so what is drawn anew is prompts.
"""

import numpy as np

from alignlab.evaluate import Score

DRAWS = 2000


def resampled(cases: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return bootstrap totals ``(DRAWS, K)`` of what each prompt contributes, ``(prompts, K)``.

    Prompts that contribute the same are drawn together: how often each kind comes up among as many
    draws as there are prompts is multinomial, so the work does not grow with the votes.
    """
    kinds, counts = np.unique(cases, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    return rng.multinomial(len(cases), counts / counts.sum(), size=DRAWS) @ kinds


def mean(totals: np.ndarray, counts: np.ndarray) -> Score:
    """Return sum / count over prompts with its percentile-bootstrap 95% interval.

    Args:
        totals, counts: ``(prompts,)``; the sum over a prompt's comparisons, and how many there are.
    """
    drawn = resampled(np.stack([totals, counts], axis=1))
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return Score(float(totals.sum() / counts.sum()), float(low), float(high), len(totals))


def strengths(wins: np.ndarray) -> list[Score]:
    """Return every model's Bradley–Terry strength with its percentile-bootstrap 95% interval.

    Args:
        wins: ``(prompts, M, M)``; in row i, column j how often model i beat j on a prompt.
    """
    prompts, size = wins.shape[:2]
    best = bradley_terry(wins.sum(0)[None])[0]
    drawn = bradley_terry(resampled(wins.reshape(prompts, -1)).reshape(-1, size, size))
    bounds = np.quantile(drawn, [0.025, 0.975], axis=0).T
    return [
        Score(float(value), float(low), float(high), prompts)
        for value, (low, high) in zip(best, bounds)
    ]


def bradley_terry(wins: np.ndarray) -> np.ndarray:
    """Return the strengths that make the wins most probable (Bradley and Terry 1952).

    Model i beats model j with probability sigmoid(strength i - strength j); a tie is half a win
    for each. Every model is also given one tie with an average one of strength 0: without it, one
    that has never lost would have no finite strength.

    Args:
        wins: ``(B, M, M)``, for each of B data sets in row i, column j how often i beat j.

    Returns:
        ``(B, M)``, in log-odds.
    """
    batch, size = wins.shape[:2]
    found = np.zeros((batch, size))
    games = wins + wins.transpose(0, 2, 1)
    diagonal = np.arange(size)
    for _ in range(200):
        chance = 1 / (1 + np.exp(found[:, None, :] - found[:, :, None]))
        average = 1 / (1 + np.exp(-found))
        gradient = (wins - games * chance).sum(2) + 0.5 - average
        bend = games * chance * (1 - chance)
        curvature = -bend
        curvature[:, diagonal, diagonal] += bend.sum(2) + average * (1 - average)
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        # Far from the solution Newton's steps overshoot; the likelihood is concave, so shorter
        # ones in the same direction arrive.
        longest = np.abs(step).max(1, keepdims=True)
        found += step / np.maximum(longest, 1)
        if longest.max() < 1e-9:
            break
    return found


def unconnected(wins: np.ndarray) -> list[int]:
    """Return the models that no chain of comparisons connects with the first.

    Args:
        wins: ``(M, M)``, as for ``bradley_terry``.
    """
    linked, reached = (wins + wins.T) > 0, {0}
    while new := {int(j) for i in reached for j in np.flatnonzero(linked[i])} - reached:
        reached |= new
    return [i for i in range(len(wins)) if i not in reached]
