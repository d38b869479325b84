"""vote_statistics.py and paired.py: figures worked out by hand, intervals that do not flatter."""

import json
import math

import numpy as np
import pytest
from vote_maker import many, vote

from alignlab.evaluate import bootstrap, wilson
from alignlab.paired import bradley_terry, mean, resampled, strengths, unconnected
from alignlab.vote_statistics import ENOUGH, NOT_ENOUGH, report, statistics


def only(cast, models=()):
    (tally,) = statistics(cast, models).pairs
    return tally


# --- two models


@pytest.mark.parametrize(
    ("wins", "losses", "low", "high", "decided"),
    [(12, 8, 0.39, 0.78, False), (18, 12, 0.42, 0.75, False), (18, 4, 0.61, 0.93, True)],
)
def test_the_win_rate_has_wilsons_interval(wins, losses, low, high, decided):
    # The first two are those of the design; the third is Wilson's formula by hand.
    tally = only(many(wins, losses), ["A", "B"])
    assert (tally.first, tally.second, tally.wins, tally.losses) == ("B", "A", wins, losses)
    assert tally.win_rate == tally.decisive
    assert tally.win_rate.value == pytest.approx(wins / (wins + losses))
    assert tally.win_rate.low == pytest.approx(low, abs=0.005)
    assert tally.win_rate.high == pytest.approx(high, abs=0.005)
    assert tally.decided is decided


def test_ties_are_half_a_win_and_skips_nothing():
    cast = [*many(6, 2, 3), vote("both_bad", "p"), vote("skip", "q")]
    tally = only(cast, ["A", "B"])
    assert (tally.wins, tally.losses, tally.ties, tally.both_bad, tally.skips) == (6, 2, 3, 1, 1)
    assert tally.win_rate.value == pytest.approx((6 + 0.5 * 4) / 12)
    assert tally.win_rate.n == 12
    assert tally.decisive == wilson(6, 8)
    # The interval is a bootstrap's: that of the twelve scores, one prompt each.
    same = bootstrap([1.0] * 6 + [0.0] * 2 + [0.5] * 4)
    assert tally.win_rate.low == pytest.approx(same.low, abs=0.05)
    assert tally.win_rate.high == pytest.approx(same.high, abs=0.05)


def test_the_order_of_interest_decides_who_comes_first():
    cast = many(3, 1)
    forwards, backwards = only(cast, ["A", "B"]), only(cast, ["B", "A"])
    assert (forwards.first, forwards.wins, backwards.first, backwards.wins) == ("B", 3, "A", 1)
    assert only(cast).first == "A"
    assert forwards.win_rate.value == 1 - backwards.win_rate.value


def test_few_votes_are_never_enough():
    assert not only(many(3, 0), ["A", "B"]).decided
    assert not only(many(3, 0, 1), ["A", "B"]).decided
    assert not only(many(3, 0, 9), ["A", "B"]).decided
    assert only(many(9, 0, 3), ["A", "B"]).decided
    # A bootstrap of one tie would be a point.
    tie = only([vote("tie")])
    assert (tie.win_rate.value, tie.decisive, tie.decided) == (0.5, None, False)
    assert (tie.win_rate.low, tie.win_rate.high) == (wilson(0.5, 1).low, wilson(0.5, 1).high)
    skipped = only([vote("skip")])
    assert (skipped.win_rate, skipped.decisive, skipped.decided) == (None, None, False)


def test_many_votes_on_one_prompt_are_one_case():
    cast = [vote("left", "the same prompt", sides=("B", "A")) for _ in range(40)]
    tally = only(cast, ["A", "B"])
    assert tally.win_rate.value == 1
    assert tally.win_rate.low == pytest.approx(wilson(1, 1).low)
    assert not tally.decided
    spread = [vote("left", f"prompt {n}", sides=("B", "A")) for n in range(40)]
    assert only(spread, ["A", "B"]).decided


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """In 400 logs of 40 votes whose true win rate is 0.6 with one tie in five."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(400):
        scores = rng.choice([1.0, 0.0, 0.5], size=40, p=[0.5, 0.3, 0.2])
        found = mean(scores, np.ones(40))
        covered += found.low <= 0.6 <= found.high
    assert 0.91 <= covered / 400 <= 0.99


def test_one_name_for_two_models_is_not_one_model():
    cast = many(3, 1)
    other = cast[0].model_copy(
        update={"left": cast[0].left.model_copy(update={"hash": "sha256:" + "0" * 60 + "beef"})}
    )
    names = {tally.first for tally in statistics([*cast, other], ["A", "B"]).pairs}
    assert names == {"B (sha256:B)", "B (0000beef)"}


# --- slices and habits


def test_slices_by_task():
    cast = [vote("left", f"p{n}", task="explain") for n in range(3)]
    cast += [vote("right", f"q{n}", task="refuse") for n in range(2)]
    found = statistics(cast)
    assert list(found.by_task) == ["explain", "refuse"]
    assert [(t[0].wins, t[0].losses) for t in found.by_task.values()] == [(3, 0), (0, 2)]
    assert (found.pairs[0].wins, found.pairs[0].losses) == (3, 2)
    assert statistics(cast[:3]).by_task == {}


def test_a_voter_who_always_picks_the_left_shows():
    cast = [vote("left", f"p{n}", sides=("AB", "BA")[n % 2]) for n in range(40)]
    found = statistics(cast)
    assert found.left_pick.value == 1
    assert found.left_pick.low > 0.9
    assert found.pairs[0].win_rate.value == 0.5
    assert statistics(many(20, 20)).left_pick.value == 0.5


def test_length_difference_is_chosen_minus_rejected():
    cast = [
        vote("left", "p", texts=("one two three", "one")),
        vote("right", "q", texts=("a b c d", "a b")),
        vote("right", "q", texts=("a", "a b c d e f g")),
        vote("tie", "r", texts=("a", "a b c")),
    ]
    score = statistics(cast).length_difference
    assert score.value == pytest.approx((2 - 2 + 6) / 3)
    assert score.n == 2
    assert statistics([cast[3]]).length_difference is None


# --- three models and more


def test_bradley_terry_finds_the_strengths_that_made_the_wins():
    truth = np.array([0.0, math.log(2), math.log(4)])
    chance = 1 / (1 + np.exp(truth[None, :] - truth[:, None]))
    wins = 30_000 * chance * (1 - np.eye(3))
    found = bradley_terry(wins[None])[0]
    assert found - found[0] == pytest.approx(truth, abs=0.001)


def test_bradley_terry_is_the_maximum():
    """The gradient of the penalised likelihood, worked out independently, vanishes."""
    rng = np.random.default_rng(0)
    wins = rng.integers(0, 30, (50, 4, 4)) * (1 - np.eye(4))
    wins[0] = np.triu(np.full((4, 4), 50.0), 1)  # each beats all that follow, always
    for data, strength in zip(wins, bradley_terry(wins)):

        def likelihood(s, data=data):
            pairs = s[:, None] - s[None, :]
            prior = -0.5 * np.log1p(np.exp(-s)) - 0.5 * np.log1p(np.exp(s))
            return -(data * np.log1p(np.exp(-pairs))).sum() + prior.sum()

        for place in range(4):
            up, down = strength.copy(), strength.copy()
            up[place] += 1e-4
            down[place] -= 1e-4
            assert abs(likelihood(up) - likelihood(down)) / 2e-4 < 1e-3


def test_one_that_never_lost_is_strong_but_finite():
    found = bradley_terry(np.array([[[0.0, 5, 5], [0, 0, 5], [0, 0, 0]]]))[0]
    assert list(np.argsort(-found)) == [0, 1, 2]
    assert np.abs(found).max() < 10


def test_three_models_get_strengths_where_votes_connect_them():
    cast = many(8, 2, first="B", second="A") + many(8, 2, first="C", second="B")
    found = statistics(cast, ["A", "B", "C"])
    assert [(t.first, t.second) for t in found.pairs] == [("C", "B"), ("B", "A")]
    assert list(found.strengths) == ["C", "B", "A"]
    values = [score.value for score in found.strengths.values()]
    assert values == sorted(values, reverse=True)
    for score in found.strengths.values():
        assert score.low < score.value < score.high
    assert "Bradley–Terry" in report(found)
    apart = statistics(many(3, 1) + many(3, 1, first="C", second="D"))
    assert apart.strengths is None
    assert apart.no_strengths == "no chain of votes connects A with C, D"
    assert apart.no_strengths in report(apart)
    assert statistics(many(3, 1)).no_strengths == "there are fewer than three models"
    skipped = [vote("skip", sides=pair) for pair in ("AB", "BC")]
    assert statistics(skipped).no_strengths == "every vote was skipped"


def test_ties_count_half_in_strengths():
    ties = [vote("tie", f"{pair}", sides=pair) for pair in ("AB", "BC", "AC")]
    assert [s.value for s in statistics(ties).strengths.values()] == pytest.approx([0, 0, 0])


def test_connections_are_found_through_others():
    wins = np.zeros((4, 4))
    wins[0, 2] = wins[3, 2] = 1
    assert unconnected(wins) == [1]
    wins[1, 3] = 1
    assert unconnected(wins) == []


def test_strengths_draw_whole_prompts():
    """Forty prompts of one vote say more than one prompt of forty."""
    one = np.array([[0, 1.0, 1], [0, 0, 1], [0, 0, 0]])
    mixed = np.stack([one, one.T] * 20)
    wide = strengths(np.stack([one * 20, one.T * 20]))
    narrow = strengths(mixed)
    assert narrow[0].high - narrow[0].low < wide[0].high - wide[0].low


def test_the_bootstrap_of_kinds_is_that_of_prompts():
    cases = np.array([[1.0, 1]] * 30 + [[0.0, 1]] * 20)
    drawn = resampled(cases)
    assert (drawn[:, 1] == 50).all()
    assert drawn[:, 0].mean() == pytest.approx(30, abs=0.3)
    assert drawn[:, 0].std() == pytest.approx(math.sqrt(50 * 0.6 * 0.4), rel=0.05)


# --- words and figures


def test_the_report_says_counts_first_and_when_votes_are_too_few():
    few = report(statistics(many(12, 8), ["A", "B"])).splitlines()
    assert few[0] == (
        "B against A: 12 wins, 0 ties, 8 losses, 0 both bad, 0 skipped; "
        f"win rate 0.60 [0.39, 0.78]: {NOT_ENOUGH}"
    )
    assert few[1].startswith("left side chosen in 0.")
    enough = report(statistics(many(18, 4), ["A", "B"]))
    assert ENOUGH in enough
    assert NOT_ENOUGH not in enough
    assert report(statistics([])) == "no votes"


def test_statistics_are_plain_data():
    found = statistics(many(12, 8, 1), ["A", "B"]).as_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["pairs"][0]["decisive"] == {
        "value": 0.6, "low": 0.3866, "high": 0.7812, "n": 20,
    }  # fmt: skip
