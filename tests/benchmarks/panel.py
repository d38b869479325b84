"""How soon the first tokens of three models are seen in the panel."""

import threading
import time
from collections.abc import Callable

from alignlab.engine import Engine, Settings

from .generation import Comparison
from .setting import Row, Work, in_turn, rate_row
from .training import Runs


class Waiting:
    """Three models, asked one prompt after another until each has given its first token."""

    def __init__(self, made: Runs):
        self.compared = Comparison(made)
        self.engine = Engine({"base": made.model, "SFT": made.sft_run, "SFT+DPO": made.dpo_run})
        self.longest = 0.0

    def ours(self) -> Work:
        """Ask as the panel does; the clock stops when it is told the first tokens."""
        return self._work(self._panel)

    def loop(self) -> Work:
        """Generate one token by one model after another."""
        return self._work(self._loop)

    def _panel(self, prompt: str) -> float:
        stop, told = threading.Event(), []

        def tell(texts: dict[str, str]) -> None:
            told.append(time.perf_counter())
            stop.set()

        started = time.perf_counter()
        self.engine.respond(prompt, self.engine.names, Settings(), tell, stop)
        self.longest = max(self.longest, told[0] - started)
        return told[0] - started

    def _loop(self, prompt: str) -> float:
        started = time.perf_counter()
        for model in self.compared.models.values():
            self.compared.alone(model, prompt, 1)
        return time.perf_counter() - started

    def _work(self, ask: Callable[[str], float]) -> Work:
        prompts = self.compared.prompts
        return Work(sum(map(ask, prompts)), len(prompts), len(self.engine.names) * len(prompts))


def measure_panel(made: Runs) -> list[Row]:
    """Compare the panel's first tokens with those of one model after another."""
    waiting = Waiting(made)
    works = in_turn("panel", {"ours": waiting.ours, "loop": waiting.loop}, made.sizes.repetitions)
    return [
        rate_row(
            f"panel, first tokens of 3 models (within {waiting.longest:.2f} s)",
            "prompts/s", None, works["ours"], works["loop"], longest_seconds=waiting.longest,
            our_settings="one batch in which each row names its adapter",
            their_settings="model.generate for one token, by one model after another",
        )
    ]  # fmt: skip
