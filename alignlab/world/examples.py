"""One example of a task: a request, the exact distribution of its labels, the judge's truth."""

from collections.abc import Callable
from dataclasses import dataclass, field

from alignlab.world.catalogue import Product, load_text
from alignlab.world.grammar import Dice, entropy, expand, mixture, readings


@dataclass(frozen=True)
class Example:
    """One request with the distribution of its labels and what a judge must know.

    ``labels()`` returns every label with its probability; ``meta`` names the family and holds the
    truth that judges check against.
    """

    task: str
    prompt: str
    meta: dict
    labels: Callable[[], dict[str, float]] = field(repr=False, compare=False)

    def entropy(self) -> float:
        """Return the exact entropy of the label given the prompt, in nats."""
        return entropy(self.labels())

    def draw(self, dice: Dice) -> str:
        """Draw one label."""
        return dice.weighted(self.labels())


def request(dice: Dice, task: str, wordings: str, slots: dict) -> str:
    """Draw a request of a task, in one of its wordings."""
    return expand(dice.choice(load_text("requests")[task][wordings]), dice, slots)


def the_product(product: Product, dice: Dice) -> str:
    """Draw a way to name a product, with its kind or without."""
    return dice.choice([f"the {product.name}", f"the {product.name} {product.kind}"])


def question(dice: Dice, attribute: str, the: str, wordings: str) -> str:
    """Draw a question about one attribute."""
    key = {"train": "questions", "held_out": "held_out_questions"}[wordings]
    return expand(dice.choice(load_text("facts")[attribute][key]), dice, {"the": the})


def answers(attribute: str, name: str, value: str) -> dict[str, float]:
    """Return the answers that state one value of one attribute, with their probabilities."""
    slots = {"the": f"the {name}", "The": f"The {name}", "value": value}
    wordings = load_text("facts")[attribute]["answers"]
    return mixture(*((1 / len(wordings), readings(wording, slots)) for wording in wordings))
