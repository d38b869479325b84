"""checks/: what a failure says, what is believed, and that every case and mistake has a use."""

import subprocess
import sys

import pytest
import torch
from test_mutants import ANSWERS, EXERCISES, RIGHT, WRONG, outcome

from alignlab import checks
from alignlab.checks import (
    CheckFailed,
    agreement,
    annotators,
    comparisons,
    data_sets,
    entropy,
    generalization,
    gradient,
    intervals,
    labels,
    lora,
    mle,
    outcomes,
    over_fitting,
    pairs,
    policies,
    responses,
    reward_models,
    rlhf,
    run_planning,
    selection,
    stages,
    strategy,
    verdicts,
)
from alignlab.checks.common import Case
from alignlab.checks.training import chain
from alignlab.checks.values import as_expected, excess, plain, same, tensors

MODULES = (
    agreement, annotators, comparisons, data_sets, entropy, generalization, gradient, intervals,
    labels, lora, mle, outcomes, over_fitting, pairs, policies, responses, reward_models, rlhf,
    run_planning, selection, stages, strategy, verdicts,
)  # fmt: skip


def handed_over(exercise):
    """Return what a check hands to ``verify``: name, reference, cases, mistakes, gradients."""
    seen = []

    def verify(name, answer, reference, by_hand, drawn, mistakes, gradients=(), seeds=()):
        made = [drawn(torch.Generator().manual_seed(seed)) for seed in seeds]
        cases = [*by_hand, *(Case(t, a, s) for s, m in zip(seeds, made) for t, a in m.items())]
        seen.extend([name, reference, cases, mistakes, gradients])

    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES:
            patch.setattr(module, "verify", verify)
        getattr(checks, exercise)(None)
    return seen


# These have a judge of their own.
TRAININGS = ("audit", "fit_strengths", "train_dpo", "train_to_floor")
PARTS = [handed_over(name) for name in EXERCISES if name not in TRAININGS]


def failure(exercise, answer, **options):
    with pytest.raises(CheckFailed) as caught:
        getattr(checks, exercise)(answer, **options)
    return caught.value


# --- what it says --------------------------------------------------------------------------------


def test_a_pass_prints_one_line(capsys):
    checks.perplexity(ANSWERS["perplexity"]["right_math"], seeds=[0])
    assert capsys.readouterr().out == "perplexity: right on all 6 cases.\n"


def test_a_failure_says_everything():
    text = str(failure("shift", ANSWERS["shift"]["wrong_way"]))
    assert text == (
        "shift, on one row of three tokens: value 0 of 2 at [0, 0, 0] is 2, expected 0.\n"
        "  input    logits = float64 (1, 3, 2)\n"
        "           [[[0. 1.]\n"
        "             [2. 3.]\n"
        "             [4. 5.]]]\n"
        "           labels = int64 (1, 3)\n"
        "           [[-100    0    1]]\n"
        "  expected float64 (1, 2, 2)\n"
        "           [[[0. 1.]\n"
        "             [2. 3.]]]\n"
        "           int64 (1, 2)\n"
        "           [[0 1]]\n"
        "  got      float64 (1, 2, 2)\n"
        "           [[[2. 3.]\n"
        "             [4. 5.]]]\n"
        "           int64 (1, 2)\n"
        "           [[-100    0]]\n"
        "  likely   shifted the wrong way: position t is compared with the token before it"
    )


def test_a_failure_names_the_seed_that_repeats_it():
    def sometimes(total_losses, token_counts):
        right = ANSWERS["perplexity"]["right_math"](total_losses, token_counts)
        return right + (total_losses == drawn["total_losses"])

    drawn = {}
    real = torch.Generator().manual_seed(2)
    # The first draw of seed 2, as the check makes it.
    counts = torch.randint(2, 40, (5,), generator=real).tolist()
    rates = torch.rand(5, generator=real, dtype=torch.float64).tolist()
    drawn["total_losses"] = [n * (0.2 + 2 * rate) for n, rate in zip(counts, rates)]
    text = str(failure("perplexity", sometimes))
    assert text.endswith("  repeat   checks.perplexity(perplexity, seeds=[2])")
    assert str(failure("perplexity", sometimes, seeds=[2])) == text
    checks.perplexity(sometimes, seeds=[0, 1])


def test_an_exception_is_shown_with_its_line():
    def token_nll(logits, targets):
        return logits.gather(-1, targets[..., None])

    text = str(failure("token_nll", token_nll))
    assert "it raised RuntimeError: index -100 is out of bounds" in text
    assert "return logits.gather(-1, targets[..., None])" in text


def test_a_notebook_shows_the_message_alone(capsys):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.run_cell("from alignlab import checks\nchecks.shift(lambda x, y: (x, y))")
    shown = capsys.readouterr().out
    assert "nothing is shifted" in shown
    assert "Traceback" not in shown
    assert "common.py" not in shown


# --- what is believed ----------------------------------------------------------------------------


class EqualToAll:
    """Equal to everything, and everything is equal to it."""

    shape, dtype, ndim = (), torch.float64, 0

    def __eq__(self, other):
        return True

    def __sub__(self, other):
        return torch.zeros(())

    __hash__ = None
    __rsub__ = __sub__


class FalseTensor(torch.Tensor):
    """A tensor whose comparisons all say what suits it."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return torch.zeros((), dtype=torch.float64)


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize(
    "value",
    [EqualToAll(), FalseTensor(), None, "right", True, object(), float("nan")],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_plain_value_is_refused(exercise, value):
    assert failure(exercise, lambda *arguments: value).excess == float("inf")


def test_values_by_hand():
    want = torch.tensor([1.0, 0.0, float("inf")], dtype=torch.float64)
    assert excess([want.clone()], want) == 0
    assert excess([want + torch.tensor([2e-6, 0, 0])], want) == pytest.approx(1.0)
    assert excess([want + torch.tensor([0, 3e-6, 0])], want) == pytest.approx(3.0)
    assert excess([(want + torch.tensor([2e-5, 0, 0])).float()], want) == pytest.approx(1, rel=0.02)
    assert excess([torch.tensor([1.0, 0.0, 5.0])], want) == float("inf")
    assert excess([torch.tensor([1.0, float("nan"), 5.0])], want) == float("inf")
    assert excess([want[:2]], want) == float("inf")


def test_whole_numbers_have_to_be_whole():
    ids = torch.tensor([3, -100])
    assert plain([3, -100], ids)[0].tolist() == [3, -100]
    for wrong in ([3.0, -100.0], ids.float(), ids == 3):
        with pytest.raises(TypeError):
            plain(wrong, ids)


def test_a_changed_argument_is_noticed():
    text = str(failure("completion_labels", ANSWERS["completion_labels"]["wrong_in_place"]))
    assert "it changed its argument input_ids in place" in text
    assert same([torch.ones(2)], [torch.ones(2)])
    assert not same([torch.ones(2)], [torch.zeros(2)])
    assert not same([torch.ones(2)], [])


def test_the_answer_does_not_disturb_the_random_numbers_of_the_notebook():
    def random(total_losses, token_counts):
        return torch.rand(()).item()

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = str(failure("perplexity", random))
    assert torch.equal(torch.rand(3), expected)
    assert str(failure("perplexity", random)) == first


# --- the cases -----------------------------------------------------------------------------------


def test_importing_checks_loads_no_library_of_models():
    code = (
        "import sys; from alignlab import checks; print({'trl', 'transformers'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: parts[0])
def test_the_first_case_can_be_checked_by_hand(parts):
    _, _, (first, *_), _, _ = parts
    assert first.seed is None
    assert sum(t.numel() for value in first.arguments.values() for t in members(value)) <= 30


def members(value):
    if isinstance(value, torch.Tensor) or (value and isinstance(value, list)):
        return [x for x in tensors(value) if isinstance(x, torch.Tensor)]
    return []


@pytest.mark.parametrize("parts", [p for p in PARTS if p[-1]], ids=lambda parts: parts[0])
def test_gradients_of_the_reference_equal_finite_differences(parts):
    _, reference, cases, _, wanted = parts
    # Not where a value is infinite or so large that its differences vanish.
    small = [c for c in cases if max(x.abs().max() for x in leaves(c, wanted)) < 1e3]
    assert len(small) > len(cases) / 2
    for case in small:

        def values(*inputs, case=case):
            left = iter(inputs)
            replaced = {
                name: [next(left) for _ in value] if isinstance(value, list) else next(left)
                for name, value in case.arguments.items()
                if name in wanted
            }
            found = reference(*(case.arguments | replaced).values())
            found = found if isinstance(found, tuple) else (found,)
            return tuple(part for part in found if part.is_floating_point())

        inputs = [x.clone().requires_grad_() for x in leaves(case, wanted)]
        assert torch.autograd.gradcheck(values, inputs), case.title


def leaves(case, names):
    return [x for name in case.arguments if name in names for x in members(case.arguments[name])]


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: parts[0])
def test_every_named_mistake_is_far_off_and_met_by_a_mutant(parts):
    name, reference, cases, mistakes, _ = parts
    for text, mistaken in mistakes.items():
        errors = []
        for case in cases:
            expected = as_expected(reference(*case.arguments.values()))
            try:
                errors.append(excess(plain(mistaken(*case.arguments.values()), expected), expected))
            except (ArithmeticError, TypeError):
                errors.append(float("inf"))
        assert max(errors) >= 100, text
    said = {outcome(*pair).likely for pair in WRONG if pair[0] == name}
    assert set(mistakes) - said == set()


def test_a_chain_by_hand():
    made = chain(torch.tensor([0.75, 0.25]), torch.tensor([[0.5, 0.5], [0.2, 0.8]]), 2)
    assert made["sequences"].tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert made["probabilities"].tolist() == pytest.approx([0.375, 0.375, 0.05, 0.2])
    # (H(3/4) + 3/4 H(1/2) + 1/4 H(1/5)) / 2, in nats
    assert made["floor"] == pytest.approx((0.562335 + 0.75 * 0.693147 + 0.25 * 0.500402) / 2)


def test_right_answers_differ_in_what_they_return():
    kinds = {name: set() for name, _ in RIGHT}
    for exercise, name in RIGHT:
        kinds[exercise].add(ANSWERS[exercise][name].__code__.co_code)
    assert min(map(len, kinds.values())) >= 2
