"""The two data sets of the bundled recipes: which tasks, and how many examples of each."""

from alignlab.world.examples import Example
from alignlab.world.grammar import Dice
from alignlab.world.preferences import Annotator, draw_pairs
from alignlab.world.tasks import draw_examples

SFT_COUNTS = {
    "manual": 300,
    "contract": 185,
    "sentences": 220,
    "list": 460,
    "capitals": 200,
    "required_word": 240,
    "forbidden_word": 330,
    "ending": 320,
    "opening": 320,
    "brief": 160,
    "explain": 300,
    "slogan": 160,
    "refuse": 160,
}
PREFERENCE_COUNTS = {"style": 570, "abstention": 260, "task": 500}
# Two who compare, wrong only by chance: where the rewards of two responses differ by 1, a careful
# annotator takes the worse one in 12% of the cases, the expert of the bundled recipe in 2%.
CAREFUL = Annotator(sharpness=2.0)
EXPERT = Annotator(sharpness=4.0)


def chat(prompt: str, response: str) -> dict[str, list[dict]]:
    """Return a row in TRL's conversational prompt-completion format."""
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "completion": [{"role": "assistant", "content": response}],
    }


def labelled(examples: list[Example], seed: int | str) -> list[dict]:
    """Draw one label for each example and return the rows."""
    dice = Dice(f"labels:{seed}")
    return [chat(example.prompt, example.draw(dice)) for example in examples]


def sft_rows(world, seed: int = 0) -> list[dict]:
    """Return the demonstrations of the bundled SFT recipe, in random order."""
    rows = [
        row
        for task, count in SFT_COUNTS.items()
        for row in labelled(draw_examples(world, task, count, seed=seed), f"{task}:{seed}")
    ]
    return Dice(f"sft:{world.seed}:{seed}").shuffled(rows)


def compared(pairs) -> list[dict]:
    """Return pairs as rows in TRL's conversational preference format."""
    return [
        {
            "prompt": [{"role": "user", "content": pair.prompt}],
            "chosen": [{"role": "assistant", "content": pair.chosen}],
            "rejected": [{"role": "assistant", "content": pair.rejected}],
        }
        for pair in pairs
    ]


def preference_rows(world, seed: int = 0) -> list[dict]:
    """Return the comparisons of the bundled DPO recipe, in random order."""
    pairs = [
        pair
        for kind, count in PREFERENCE_COUNTS.items()
        for pair in draw_pairs(world, kind, count, seed=seed, annotator=EXPERT)
    ]
    return Dice(f"preferences:{world.seed}:{seed}").shuffled(compared(pairs))
