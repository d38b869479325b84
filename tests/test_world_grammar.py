"""The grammar of the world's text: parsing, exact probabilities, and dice that count."""

import math
from collections import Counter

import pytest

from alignlab.world.grammar import Dice, combine, entropy, expand, mixture, readings


def within_four_errors(hits: int, draws: int, probability: float) -> bool:
    error = math.sqrt(draws * probability * (1 - probability))
    return abs(hits - draws * probability) <= 4 * error


@pytest.mark.parametrize("text", ["[a|b", "[a", "a [b|[c]", "a]", "[a|b]]", "{slot", "[a|{b]"])
def test_unbalanced_marks_are_refused(text):
    with pytest.raises(ValueError, match=r"without|unbalanced"):
        readings(text, {"slot": "x", "b": "y"})
    with pytest.raises(ValueError, match=r"without|unbalanced"):
        expand(text, Dice(0), {"slot": "x", "b": "y"})


def test_an_unknown_slot_is_an_error():
    with pytest.raises(KeyError, match="nobody"):
        expand("Dear {nobody},", Dice(0), {"name": "Ann"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"": 1.0}),
        ("plain", {"plain": 1.0}),
        ("a|b", {"a|b": 1.0}),  # outside brackets the bar is a character like any other
        ("[a|b|c]", {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}),
        ("[a|a|b]", {"a": 2 / 3, "b": 1 / 3}),  # the same reading twice counts twice
        ("x[, y|]z", {"x, yz": 1 / 2, "xz": 1 / 2}),
        ("[a|b][c|d]", {"ac": 1 / 4, "ad": 1 / 4, "bc": 1 / 4, "bd": 1 / 4}),
        # Each bracket shares its own chance out evenly: 1/2 for a, 1/2 for the inner three.
        ("[a|[b|c|d]]", {"a": 1 / 2, "b": 1 / 6, "c": 1 / 6, "d": 1 / 6}),
        ("[a|b[c|d]]e", {"ae": 1 / 2, "bce": 1 / 4, "bde": 1 / 4}),
        ("[{n}|you] and {n}", {"Ann and Ann": 1 / 2, "you and Ann": 1 / 2}),
        ("[ab|a][c|bc]", {"abc": 1 / 2, "abbc": 1 / 4, "ac": 1 / 4}),  # two ways to one text
    ],
)
def test_readings_by_hand(text, expected):
    assert readings(text, {"n": "Ann"}) == pytest.approx(expected)


def test_slots_may_be_a_function_called_from_left_to_right():
    calls = []

    def slots(name):
        calls.append(name)
        return name.upper()

    assert expand("{b} [then] {a} {b}", Dice(0), slots) == "B then A B"
    assert calls == ["b", "a", "b"]


def test_expand_draws_readings_as_often_as_they_say():
    text = "[a|[b|c|{slot}]|d[e|f]][!|?]"
    table, dice, draws = readings(text, {"slot": "s"}), Dice("frequencies"), 6000
    counts = Counter(expand(text, dice, {"slot": "s"}) for _ in range(draws))
    assert set(counts) == set(table)
    assert len(table) == 12
    for string, probability in table.items():
        assert within_four_errors(counts[string], draws, probability), string


def test_expand_counts_its_nats():
    """A drawn reading of known probability adds its negative log-probability."""
    dice = Dice("nats")
    expected = {"a": math.log(2), "b": math.log(6), "c": math.log(6), "d": math.log(6)}
    for _ in range(40):
        before = dice.nats
        drawn = expand("[a|[b|c|d]]", dice)
        assert dice.nats - before == pytest.approx(expected[drawn])


def test_each_kind_of_draw_counts_its_nats():
    dice = Dice("draws")
    assert dice.nats == 0.0

    def cost(draw) -> tuple:
        before = dice.nats
        return draw(), dice.nats - before

    assert cost(lambda: dice.index(8))[1] == pytest.approx(math.log(8))
    assert cost(lambda: dice.choice("xyz"))[1] == pytest.approx(math.log(3))
    assert cost(lambda: dice.sample(range(10), 3))[1] == pytest.approx(math.log(720))
    assert cost(lambda: dice.shuffled(range(5)))[1] == pytest.approx(math.log(120))
    for _ in range(20):
        hit, nats = cost(lambda: dice.chance(0.2))
        assert nats == pytest.approx(-math.log(0.2 if hit else 0.8))
        name, nats = cost(lambda: dice.weighted({"x": 3.0, "y": 1.0}))
        assert nats == pytest.approx(-math.log({"x": 0.75, "y": 0.25}[name]))


def test_certain_draws_cost_nothing():
    dice = Dice("certain")
    assert [dice.chance(1.0) for _ in range(50)] == [True] * 50
    assert [dice.chance(0.0) for _ in range(50)] == [False] * 50
    assert dice.index(1) == 0
    assert dice.nats == 0.0


def test_mean_nats_estimate_the_entropy():
    weights, draws = {"x": 0.7, "y": 0.2, "z": 0.1}, 4000
    dice = Dice("estimate")
    for _ in range(draws):
        dice.weighted(weights)
    exact = -sum(p * math.log(p) for p in weights.values())
    variance = sum(p * math.log(p) ** 2 for p in weights.values()) - exact**2
    assert abs(dice.nats / draws - exact) <= 4 * math.sqrt(variance / draws)


def test_draws_are_as_likely_as_they_should_be():
    dice, draws = Dice("chances"), 6000
    assert within_four_errors(sum(dice.chance(0.3) for _ in range(draws)), draws, 0.3)
    counts = Counter(dice.weighted({"x": 2.0, "y": 6.0}) for _ in range(draws))
    assert within_four_errors(counts["y"], draws, 0.75)
    orders = Counter(tuple(dice.shuffled("abc")) for _ in range(draws))
    assert len(orders) == 6
    assert all(within_four_errors(count, draws, 1 / 6) for count in orders.values())


def test_a_sample_has_no_repeats():
    dice = Dice("sample")
    for _ in range(100):
        assert len(set(dice.sample(range(6), 4))) == 4
    assert sorted(dice.shuffled(range(6))) == list(range(6))


def test_some_options_come_in_their_order_and_every_choice_is_equally_likely():
    dice, draws = Dice("some"), 6000
    counts = Counter("".join(dice.some("dcba", 2)) for _ in range(draws))
    assert set(counts) == {"dc", "db", "da", "cb", "ca", "ba"}
    assert all(within_four_errors(count, draws, 1 / 6) for count in counts.values())
    assert dice.nats == pytest.approx(draws * math.log(6))


def test_equal_seeds_draw_equally_and_others_do_not():
    def draws(seed):
        dice = Dice(seed)
        return [dice.index(1000) for _ in range(20)]

    assert draws("a") == draws("a")
    assert draws("a") != draws("b")
    # A whole number is as good as its digits: Dice(7) and Dice("7") are the same dice.
    assert draws(7) == draws("7")
    # random.Random("alignlab:a").random() in thousandths, read off under Python 3.8 and 3.13.
    assert draws("a")[:5] == [299, 972, 246, 249, 863]


def test_combine_and_mixture_by_hand():
    left, right = {"a": 0.25, "b": 0.75}, {"x": 0.5, "y": 0.5}
    assert combine(left, right, join=" ") == pytest.approx(
        {"a x": 0.125, "a y": 0.125, "b x": 0.375, "b y": 0.375}
    )
    assert mixture((0.4, left), (0.6, {"b": 1.0})) == pytest.approx({"a": 0.1, "b": 0.9})


def test_entropy_by_hand():
    assert entropy({"only": 1.0}) == 0.0
    assert entropy({"a": 0.5, "b": 0.5, "never": 0.0}) == pytest.approx(math.log(2))
    # 1/2 ln 2 + 2 (1/4 ln 4) = 3/2 ln 2
    assert entropy({"a": 0.5, "b": 0.25, "c": 0.25}) == pytest.approx(1.5 * math.log(2))
