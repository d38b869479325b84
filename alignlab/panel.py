"""The side-by-side panel: ``Panel({"SFT": "runs/sft", "DPO": "runs/dpo"}, prompts)``.

It asks two to four models, shows their responses as they come, and takes blind votes. What is asked
next and what was voted is in ``ballot``, the models are in ``engine``, the widgets and their
text in ``panel_widgets``, ``panel_screen`` and ``panel_pages``; here is what each button does.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

from alignlab import votes
from alignlab.ballot import Ballot, Identity, messages
from alignlab.compare import Comparison
from alignlab.engine import Engine, Settings
from alignlab.page import document
from alignlab.panel_pages import tables
from alignlab.panel_screen import Screen
from alignlab.panel_widgets import CHOICES, Controls
from alignlab.seen import Seen, Shown, key, of_vote, truth_in, truth_of
from alignlab.token_view import sections
from alignlab.whole import write_whole
from alignlab.world.examples import Example

# A field sends its text when it is left, which is when the button is pressed. From ipykernel 7 on
# the button's message can be handled before the field's, although it was sent after it.
SETTLE = 0.1  # seconds
REASONS = ("more correct", "clearer", "friendlier", "shorter")


class Panel:
    """Models side by side in a notebook, with votes. As the last line of a cell it shows itself.

    Args:
        models: two to four models by name, as for ``engine.Engine``; or an ``Engine``; or a
            ``Comparison``, whose responses were made before, so that no model is needed.
        prompts: user messages, conversations, or examples of the world, whose true reward is shown
            once the names are; a ``Comparison`` has its own.
        log: the vote log to go on with.
        blind: begin with two responses whose models are hidden until the vote; if not, with all.
        temperature, max_new_tokens, seed: of the sampling, at first; ``seed`` is also that of the
            sides.
        reasons: tags that a vote can be given.
        threaded: generate in a thread of its own, so that Stop can be pressed. By default
            everywhere but on Colab, which shows nothing that a thread does.

    Raises:
        ValueError: fewer than two or more than four models, or no prompts.
        DataError: a log that cannot be read.
        ModelError: a model that cannot be loaded.
    """

    def __init__(
        self,
        models: Mapping[str, str | Path] | Engine | Comparison,
        prompts: Sequence[str | list[dict] | Example] = (),
        *,
        log: str | Path = "votes.jsonl",
        blind: bool = True,
        temperature: float = 0.7,
        max_new_tokens: int = 128,
        seed: int = 0,
        reasons: Sequence[str] = REASONS,
        threaded: bool | None = None,
    ):
        self.threaded = "google.colab" not in sys.modules if threaded is None else threaded
        self.engine = self.comparison = None
        if isinstance(models, Comparison):
            self.comparison, prompts, tasks = models, models.prompts, models.tasks
            known = {name: _said(models, name) for name in models.models}
        else:
            self.engine = models if isinstance(models, Engine) else Engine(models)
            tasks = [item.task if isinstance(item, Example) else "" for item in prompts]
            known = {
                name: Identity(source, self.engine.hashes[name])
                for name, source in self.engine.sources.items()
            }
        if not 2 <= len(known) <= 4:
            raise ValueError(f"a panel compares two to four models, not {len(known)}")
        if not prompts:
            raise ValueError("a panel needs at least one prompt")
        asked = [item.prompt if isinstance(item, Example) else item for item in prompts]
        self.ballot = Ballot(known, asked, tasks, log, seed)
        truth = truth_in(self.comparison) if self.comparison else truth_of(prompts)
        tasks = {key(prompt): task for prompt, task in zip(asked, tasks)}
        self.seen = Seen(list(known), tasks, truth)
        for vote in self.ballot.votes:
            self.seen.add(of_vote(vote))
        self.controls = Controls(
            Settings(temperature, max_new_tokens, seed), reasons, live=self.engine is not None
        )
        self.screen = Screen(self.controls, self.ballot, self.seen, self.engine)
        self._busy, self._stop = False, threading.Event()
        self._connect()
        self.screen.turn(blind)
        self.screen.show_item(self.made_before())
        self.screen.count()

    def _connect(self) -> None:
        actions = {
            "generate": self._generate, "stop": self._halt, "view": self._turn_view,
            "undo": self._undo, "previous": lambda: self._move(-1), "next": lambda: self._move(1),
            "tokens": self._look_at_tokens, "export": self._export, "page": self._save_page,
        }  # fmt: skip
        for name, action in actions.items():
            self.controls.buttons[name].on_click(self._guarded(action))
        for choice, button in self.controls.choices.items():
            button.on_click(self._guarded(lambda choice=choice: self._vote(choice)))
        self.controls.marks.observe(self._guarded(self.screen.render), "value")

    def _guarded(self, action: Callable[[], None]) -> Callable:
        """Return a handler whose errors stand in the status line: nobody sees those of a widget."""

        def handler(*_):
            try:
                action()
            except (Exception, KeyboardInterrupt) as error:
                self._say(f"{type(error).__name__}: {error}", error=True)

        return handler

    def _ipython_display_(self) -> None:
        self.screen.display()

    def _say(self, text: str, error: bool = False) -> None:
        self.screen.say(text, error)

    def _is_busy(self) -> bool:
        if self._busy:
            self._say("Still generating; Stop ends it.")
        return self._busy

    # --- going through the items

    def made_before(self) -> Shown | None:
        """Return the responses to the item that were made before, or None."""
        if self.comparison is None:
            return None
        prompt = self.ballot.item.prompt
        place = [messages(p) for p in self.comparison.prompts].index(prompt)
        texts = {name: column[place] for name, column in self.comparison.responses.items()}
        return Shown(prompt, texts, self.comparison.settings, True, time.monotonic())

    def _move(self, step: int) -> None:
        if self._is_busy():
            return
        some_left = self.ballot.move(step)
        self.screen.show_item(self.made_before())
        if not self.screen.blind:
            self.screen.count()
        done = sum(self.ballot.voted(item) for item in self.ballot.items)
        count = f"{done} of {len(self.ballot.items)} items have a vote."
        self._say(count if some_left else "Every item has a vote.")

    def _turn_view(self) -> None:
        if self._is_busy():
            return
        self.screen.turn(not self.screen.blind)
        self.screen.render()
        self.screen.count()

    # --- generating

    def _generate(self) -> None:
        if self._is_busy():
            return
        self._busy = True
        self._stop.clear()
        self._say("Generating ...")
        answer = self._guarded(self._answer)
        if self.threaded:
            threading.Thread(target=answer, daemon=True).start()
        else:
            answer()

    def _ask(self) -> tuple[list[dict], Settings]:
        """Return what is to be asked, and how, as it stands in the fields."""
        if self.threaded:
            time.sleep(SETTLE)
        if not self.controls.prompt.value.strip():
            raise ValueError("the prompt is empty")
        settings = self.controls.settings()
        self.ballot.ask(self.controls.prompt.value)
        self.controls.texts["token_views"].value = ""
        return self.ballot.item.prompt, settings

    def _answer(self) -> None:
        screen = self.screen
        try:
            prompt, settings = self._ask()
            sampling = asdict(settings)

            def on_update(texts: Mapping[str, str]) -> None:
                screen.shown = Shown(prompt, texts, sampling)
                screen.render()

            on_update({})
            texts = self.engine.respond(prompt, screen.names, settings, on_update, self._stop)
        finally:
            self._busy = False
        complete = not self._stop.is_set()
        screen.shown = Shown(prompt, texts, sampling, complete, time.monotonic())
        screen.name_models()
        screen.render()
        if not screen.blind:
            screen.count()
        self._say("Done." if complete else "Stopped. Generate answers anew.")

    def _halt(self) -> None:
        self._stop.set()
        self._say("Stopping after this token." if self._busy else "Nothing is being generated.")

    # --- voting

    def _vote(self, choice: votes.Choice) -> None:
        if self._is_busy():
            return
        item, shown = self.ballot.item, self.screen.shown
        if not self.screen.blind:
            self._say("Votes are blind: go back to blind votes first.")
        elif shown is None or not shown.complete or not {*item.sides} <= {*shown.texts}:
            self._say("There is nothing to vote on yet. Generate first.")
        elif self.ballot.vote_on(item, shown.texts):
            self._say("This has a vote already. Undo takes it back, Next goes on.")
        else:
            seconds = time.monotonic() - shown.since
            reasons = self.controls.ticked()
            self.ballot.cast(choice, shown.texts, shown.sampling, reasons, seconds)
            self.controls.untick()
            self.seen.add(replace(shown, texts={n: shown.texts[n] for n in item.sides}))
            self.screen.render()
            self.screen.count()
            self._say(f"Saved: {CHOICES[choice]}. A was {item.left}, B was {item.right}.")

    def _undo(self) -> None:
        if self._is_busy():
            return
        vote = self.ballot.undo()
        if vote is None:
            self._say("There is no vote of this panel to take back.")
            return
        self.screen.turn(blind=True)
        self.screen.show_item(replace(of_vote(vote), since=time.monotonic()))
        self.screen.count()
        self._say(f"Took back: {CHOICES[vote.choice]}.")

    # --- looking closer, keeping

    def _look_at_tokens(self) -> None:
        if not self._is_busy():
            self.screen.toggle_token_views()

    def _export(self) -> None:
        path = self.ballot.log.with_suffix(".preferences.jsonl")
        counts = votes.export(self.ballot.votes, path)
        dropped = ", ".join(f"{name} {counts[name]}" for name in votes.DROPPED)
        self._say(f"Wrote {counts['train']} comparisons to {path}. Left out: {dropped}.")

    def _save_page(self) -> None:
        if self._is_busy():
            return
        comparisons = self.seen.comparisons()
        if not comparisons:
            self._say("There is nothing to save: no response has been seen with its model yet.")
            return
        body = tables(comparisons)
        if self.engine:
            parts = (sections(self.engine, c.prompts, c.responses) for c in comparisons)
            body += "".join(parts)
        path = self.ballot.log.with_suffix(".html")
        write_whole(path, document("Side by side", body))
        self._say(f"Wrote {path}.")


def _said(comparison: Comparison, name: str) -> Identity:
    """Return the identity of a model of which nothing is known but what it said."""
    said = json.dumps([[*comparison.prompts], [*comparison.responses[name]]])
    return Identity("responses", f"sha256:{sha256(said.encode()).hexdigest()}")
