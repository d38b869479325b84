"""What a comparison panel shows at the moment, and who may be named."""

from collections.abc import Mapping

from IPython.display import HTML, display

from alignlab import panel_pages as pages
from alignlab.ballot import Ballot
from alignlab.engine import Engine
from alignlab.panel_pages import Column
from alignlab.panel_widgets import BUTTONS, MARKS, Controls
from alignlab.seen import Seen, Shown
from alignlab.token_view import token_view, view_html

BACK = "Back to blind votes"
NO_MODELS = "This needs the models; here are only their responses."


class Screen:
    """Puts the state of a panel into its widgets.

    Attributes:
        blind: two responses whose models are hidden until the vote; if not, all with their names.
        shown: the responses that are on the screen, or None.
    """

    def __init__(self, controls: Controls, ballot: Ballot, seen: Seen, engine: Engine | None):
        self.controls, self.ballot, self.seen, self.engine = controls, ballot, seen, engine
        self.blind, self.shown = True, None
        self._below = None

    def display(self) -> None:
        """Show the panel, and below it the table that stays when there is no kernel any more."""
        display(self.controls.box)
        self._below = display(HTML(pages.below(self.seen.comparisons())), display_id=True)

    def say(self, text: str, error: bool = False) -> None:
        """Write the status line."""
        self.controls.texts["status"].value = pages.status(text, error)

    def turn(self, blind: bool) -> None:
        """Change between blind votes and all models with their names."""
        self.blind = blind
        self.controls.buttons["view"].description = BUTTONS["view"] if blind else BACK
        self.name_models()

    def name_models(self) -> None:
        """Note what the voter has seen with names, where names are shown."""
        if self.shown and not self.blind:
            self.ballot.peek()
            if self.shown.complete:
                self.seen.add(self.shown)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the models that are shown, from left to right."""
        return self.ballot.item.sides if self.blind else tuple(self.ballot.models)

    def is_revealed(self) -> bool:
        """Say whether the models' names may be shown."""
        texts = self.shown.texts if self.shown else {}
        return not self.blind or self.ballot.vote_on(self.ballot.item, texts) is not None

    def headings(self) -> Mapping[str, str]:
        """Return what stands above each response, by the model's name."""
        if not self.blind:
            return {name: name for name in self.names}
        revealed = self.is_revealed()
        return {
            name: f"{letter}: {name}" if revealed else letter
            for letter, name in zip("AB", self.names)
        }

    def show_item(self, shown: Shown | None) -> None:
        """Show the ballot's item, with these responses."""
        ballot, self.shown = self.ballot, shown
        number = f"Item {ballot.place + 1} of {len(ballot.items)}"
        task = f", task {ballot.item.task}" if ballot.item.task else ""
        *before, last = ballot.item.prompt
        self.controls.texts["item"].value = pages.item(number + task, before)
        self.controls.prompt.value = last["content"]
        self.controls.texts["token_views"].value = ""
        self.name_models()
        self.render()

    def render(self) -> None:
        """Show the responses as they are now."""
        shown, marks = self.shown, self.controls.marks.value
        complete = shown is not None and shown.complete
        columns = []
        for name, heading in self.headings().items():
            text = shown.texts.get(name, "") if shown else ""
            tokens = None
            if complete and self.engine and marks == MARKS[1] and name in shown.texts:
                view = token_view(self.engine, [name], shown.prompt, text)
                tokens = view.pieces, view.logprobs[name]
            columns.append(Column(heading, text, tokens, self._facts(name)))
        mark_words = complete and marks == MARKS[0]
        self.controls.texts["responses"].value = pages.columns(columns, mark_words)
        if marks == MARKS[1] and not self.engine:
            self.say(NO_MODELS)

    def _facts(self, name: str) -> str:
        if not (self.shown and self.shown.complete and name in self.shown.texts):
            return ""
        facts = f"{len(self.shown.texts[name].split())} words"
        score = self.seen.score(self.shown, name) if self.is_revealed() else None
        return facts if score is None else f"{facts}, true score {score:.2f}"

    def count(self) -> None:
        """Show what the votes say, and what was seen in the table below."""
        found = pages.statistics_html(self.ballot.statistics(), self.ballot.notices)
        self.controls.texts["statistics"].value = found
        if self._below:
            self._below.update(HTML(pages.below(self.seen.comparisons())))

    def toggle_token_views(self) -> None:
        """Show each response as every model sees it, or hide that again."""
        area = self.controls.texts["token_views"]
        if area.value:
            area.value = ""
        elif self.engine is None:
            self.say(NO_MODELS)
        elif not (self.shown and self.shown.complete):
            self.say("There are no responses to look at yet. Generate first.")
        else:
            headings, parts = self.headings(), []
            pair = headings[self.names[0]], headings[self.names[-1]]
            for name, text in self.shown.texts.items():
                if name in headings:
                    view = token_view(self.engine, self.names, self.shown.prompt, text)
                    label = f"Response {headings[name]}"
                    parts.append(view_html(view.renamed(headings), label, pair))
            area.value = pages.styled("<hr>".join(parts))
