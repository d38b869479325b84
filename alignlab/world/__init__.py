"""The micro-world: one maker of household appliances, known completely.

``World(seed)`` fixes the catalogue and which entities are held out. Documents, tasks,
preferences and judges are drawn from it, so what a model should know is never a guess.
"""

from functools import cache

from alignlab.world.catalogue import Catalogue, load_text
from alignlab.world.grammar import Dice

SPLITS = {"train": 0.5, "validation": 0.15, "test": 0.35}
IDEA_FILES = ("ideas_a", "ideas_b", "ideas_c", "ideas_d")


@cache
def ideas() -> tuple[dict, ...]:
    """Return the encyclopedia: every idea with its explanations in two registers."""
    return tuple(idea for name in IDEA_FILES for idea in load_text(name))


class World:
    """A whole world from one seed.

    Entities of every kind (products, ideas, companies, ...) are divided by name into
    ``train``, ``validation`` and ``test``. Fine-tuning sees ``train`` only, the bundled recipes
    were chosen on ``validation``, and reported figures come from ``test``.
    """

    def __init__(self, seed: int = 0):
        self.seed = seed
        self.catalogue = Catalogue(seed)
        refusals, phrases = load_text("refusals"), load_text("phrases")
        self._entities = {
            "products": self.catalogue.known,
            "sft_only": self.catalogue.sft_only,
            "unknown": self.catalogue.unknown,
            "ideas": ideas(),
            "companies": tuple(phrases["companies"]),
            "clients": tuple(phrases["clients"]),
            # Those that are only asked for stand in no document: a model has to copy them.
            "endings": (*phrases["endings"], *phrases["asked_endings"]),
            "starts": (*phrases["starts"], *phrases["asked_starts"]),
            "categories": tuple(load_text("categories")["categories"]),
            "nouns": tuple(load_text("sentences")["nouns"]),
            "places": tuple(load_text("sentences")["places"]),
            "notices": tuple(load_text("notices")),
            "unsafe": tuple(refusals["unsafe"]),
            "safe": tuple(refusals["safe"]),
        }
        self._splits = {kind: self._divide(kind) for kind in self._entities}

    def _divide(self, kind: str) -> dict[str, tuple]:
        # Unsafe requests and their safe neighbours share a place in the list, so they share a
        # split too: a model trained on one must not be tested on the other.
        label = "requests" if kind in ("unsafe", "safe") else kind
        items = Dice(f"split:{label}:{self.seed}").shuffled(self._entities[kind])
        parts, start = {}, 0.0
        for split, share in SPLITS.items():
            stop = start + share * len(items)
            parts[split] = tuple(items[round(start) : round(stop)])
            start = stop
        return parts

    def everyone(self, kind: str) -> tuple:
        """Return all entities of a kind, whatever their split."""
        return self._entities[kind]

    def pool(self, kind: str, split: str) -> tuple:
        """Return the entities of a kind that belong to one split."""
        return self._splits[kind][split]
