"""The widgets of the comparison panel: what there is, what it is called, where it stands.

All exist in ipywidgets 7.7 and 8.1 and are worked with Tab, Space, Enter and typing. Each has a
class that begins with ``al-``, by which a test finds it, and a label in plain words. Version 7.7
shows a ``description`` as HTML, so none holds what a model or another person wrote.
"""

import re
from collections.abc import Sequence

import ipywidgets as widgets

from alignlab.engine import Settings

CHOICES = {
    "left": "A is better",
    "right": "B is better",
    "tie": "Tie",
    "both_bad": "Both bad",
    "skip": "Skip",
}
MARKS = ("Words that differ", "Token probabilities", "Nothing")
BUTTONS = {
    "generate": "Generate",
    "stop": "Stop",
    "view": "Show all models",
    "undo": "Undo vote",
    "previous": "Previous",
    "next": "Next",
    "tokens": "Token view",
    "export": "Export votes",
    "page": "Save page",
}


def named(widget, name: str):
    """Give a widget its class and return it."""
    widget.add_class(f"al-{name.replace('_', '-')}")
    return widget


def plain(text: str) -> str:
    """Return a text with everything that could be markup left out."""
    return re.sub(r"[^\w ,.'()-]+", " ", text).strip()


class Controls:
    """Everything that can be pressed, typed into or read, and the box that holds it.

    Args:
        settings: what the sampling fields begin with.
        reasons: tags that a vote can be given.
        live: whether there are models to ask; if not, the prompt cannot be edited.
    """

    def __init__(self, settings: Settings, reasons: Sequence[str], live: bool):
        shown = ("item", "responses", "token_views", "status", "statistics")
        self.texts = {name: named(widgets.HTML(), name) for name in shown}
        self.prompt = named(
            widgets.Textarea(
                # Sent when the field is left: while keys still come, a button's message can
                # overtake them.
                description="Prompt", disabled=not live, continuous_update=False,
                layout=widgets.Layout(width="98%", height="5em"),
            ), "prompt",
        )  # fmt: skip
        self.temperature = _field(
            widgets.FloatText, "Temperature", settings.temperature, "temperature"
        )
        self.max_new_tokens = _field(
            widgets.IntText, "Most tokens", settings.max_new_tokens, "max_new_tokens"
        )
        self.seed = _field(widgets.IntText, "Seed", settings.seed, "seed")
        self.marks = named(
            widgets.Dropdown(
                options=MARKS, description="Mark", layout=widgets.Layout(width="20em"),
                style={"description_width": "3em"},
            ), "marks",
        )  # fmt: skip
        self.buttons = {name: _button(label, name) for name, label in BUTTONS.items()}
        letters = {"left": "a", "right": "b"}
        self.choices = {
            name: _button(label, f"vote_{letters.get(name, name)}")
            for name, label in CHOICES.items()
        }
        self.reasons = {
            tag: named(
                widgets.Checkbox(
                    description=plain(tag) or f"reason {number}", indent=False,
                    layout=widgets.Layout(width="auto", margin="2px 14px 2px 2px"),
                ), "reason",
            )
            for number, tag in enumerate(reasons, 1)
        }  # fmt: skip
        self.box = named(widgets.VBox(self._rows(live)), "panel")

    def _rows(self, live: bool) -> list:
        text, button = self.texts, self.buttons
        asking = [self.temperature, self.max_new_tokens, self.seed]
        return [
            text["item"],
            self.prompt,
            *([_row(*asking, button["generate"], button["stop"])] if live else []),
            text["responses"],
            _row(*self.choices.values(), button["undo"]),
            *([_row(widgets.Label("Because:"), *self.reasons.values())] if self.reasons else []),
            text["status"],
            _row(*(button[name] for name in ("previous", "next", "view"))),
            _row(self.marks, *(button[name] for name in ("tokens", "export", "page"))),
            text["token_views"],
            text["statistics"],
        ]

    def settings(self) -> Settings:
        """Return the sampling that is asked for.

        Raises:
            ValueError: as ``Settings``.
        """
        return Settings(self.temperature.value, self.max_new_tokens.value, self.seed.value)

    def ticked(self) -> list[str]:
        """Return the reasons that are ticked."""
        return [tag for tag, box in self.reasons.items() if box.value]

    def untick(self) -> None:
        """Clear the reasons, for the next vote."""
        for box in self.reasons.values():
            box.value = False


def _row(*children):
    return widgets.HBox(children, layout=widgets.Layout(flex_flow="row wrap", align_items="center"))


def _button(label: str, name: str):
    return named(widgets.Button(description=label, layout=widgets.Layout(width="auto")), name)


def _field(kind, label: str, value: float, name: str):
    widget = kind(
        value=value, description=label, layout=widgets.Layout(width="13em"),
        style={"description_width": "6.5em"},
    )  # fmt: skip
    return named(widget, name)
