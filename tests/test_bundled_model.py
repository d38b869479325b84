"""The bundled model and recipes: what the course stands on, measured on held-out cases."""

import json

import pytest
from safetensors import safe_open

from alignlab.data import preference_dataset, sft_dataset
from alignlab.dpo import ANCHORED, dpo
from alignlab.evaluate import evaluate
from alignlab.models import BUNDLED, load_model, load_tokenizer
from alignlab.pretraining import PretrainConfig
from alignlab.sft import sft
from alignlab.world import World
from tests.model_card import bundled_card
from tests.score_table import EVAL_SEED

pytestmark = pytest.mark.bundled


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """Train the two bundled recipes once and score all three stages."""
    folder = tmp_path_factory.mktemp("bundled")
    runs = {"base": "tiny"}
    runs["sft"] = sft("tiny", sft_dataset("world:sft"), folder / "sft", progress=False)
    runs["dpo"] = dpo(
        runs["sft"], preference_dataset("world:preferences"), folder / "dpo", progress=False,
        **ANCHORED,
    )  # fmt: skip
    tokenizer, world = load_tokenizer("tiny"), World(0)
    reference = load_model(runs["sft"])
    return {
        name: evaluate(
            load_model(run), tokenizer, world, reference=reference if name == "dpo" else None,
            eval_seed=EVAL_SEED,
        )
        for name, run in runs.items()
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "measure", "least", "most"),
    [
        ("base", "known_fact", 0.0, 0.10),
        ("base", "contract", 0.0, 0.05),
        ("base", "instructions", 0.0, 0.15),
        ("sft", "known_fact", 0.95, 1.0),
        ("sft", "known_fact_new_wording", 0.90, 1.0),
        ("sft", "unknown_made_up", 0.80, 1.0),
        ("sft", "contract", 0.90, 1.0),
        ("sft", "instructions", 0.90, 1.0),
        ("sft", "ends", 0.99, 1.0),
        ("dpo", "known_fact", 0.93, 1.0),
        ("dpo", "known_fact_new_wording", 0.88, 1.0),
        ("dpo", "unknown_made_up", 0.0, 0.20),
        ("dpo", "contract", 0.88, 1.0),
        ("dpo", "instructions", 0.88, 1.0),
        pytest.param(
            "dpo", "win_rate", 0.85, 1.0,
            marks=pytest.mark.xfail(
                reason="0.825 (0.77 to 0.88) with this training seed, 0.848 over three",
                strict=False,
            ),
        ),
        ("dpo", "ends", 0.99, 1.0),
    ],
)  # fmt: skip
def test_score_table(scores, stage, measure, least, most):
    score = scores[stage][measure]
    assert least <= score.value <= most, score


@pytest.mark.slow
def test_after_the_preferences_it_wins(scores):
    assert scores["dpo"]["win_rate"].low > 0.5


def test_model_is_small_safe_and_made_as_its_card_says():
    size = sum(path.stat().st_size for path in BUNDLED.iterdir())
    assert size <= 16 * 2**20
    assert not [path for path in BUNDLED.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]
    facts = json.loads((BUNDLED / "pretrain.json").read_text())
    assert facts["settings"] == PretrainConfig().__dict__
    with safe_open(BUNDLED / "model.safetensors", "pt") as weights:
        count = sum(weights.get_tensor(name).numel() for name in weights.keys())  # noqa: SIM118
        assert {str(weights.get_tensor(name).dtype) for name in weights.keys()} == {  # noqa: SIM118
            "torch.bfloat16"
        }
    assert count == facts["parameters"]


def test_card_is_written_from_the_measured_figures():
    assert (BUNDLED / "README.md").read_text() == bundled_card()
