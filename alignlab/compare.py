"""Responses of several models side by side: ask them, and show them as one static page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from statistics import fmean

from peft import PeftConfig, PeftModel

from alignlab.generate import generate
from alignlab.models import Source, load_model, load_tokenizer, no_deprecations, resolve
from alignlab.page import differing, document, preformatted
from alignlab.whole import write_whole
from alignlab.world.examples import Example
from alignlab.world.instructions import FAMILIES
from alignlab.world.preferences import WEIGHTS, true_reward
from alignlab.world.tasks import draw_examples


@dataclass(frozen=True)
class Comparison:
    """The responses of several models to the same prompts.

    Attributes:
        prompts: user messages or whole conversations.
        tasks: the task label of each prompt, empty where there is none.
        responses: for every model's name one response for each prompt.
        settings: how the responses were sampled, by the names of ``generate``'s arguments.
        scores: the true reward (world/preferences.py) of each response, where it is known.

    Raises:
        ValueError: a list that does not have one entry for each prompt.
    """

    prompts: Sequence[str | list[dict]]
    tasks: Sequence[str]
    responses: Mapping[str, Sequence[str]]
    settings: Mapping[str, object] = field(default_factory=dict)
    scores: Mapping[str, Sequence[float]] | None = None

    def __post_init__(self):
        columns = [self.tasks, *self.responses.values(), *(self.scores or {}).values()]
        if any(len(column) != len(self.prompts) for column in columns):
            raise ValueError(f"every column needs {len(self.prompts)} entries, one for each prompt")
        if self.scores is not None and set(self.scores) != set(self.responses):
            raise ValueError("scores are needed for every model or for none")

    @property
    def models(self) -> list[str]:
        """Return the models' names, in the order of the columns."""
        return list(self.responses)


def respond(
    sources: Mapping[str, str | Path],
    prompts: Sequence[str | list[dict] | Example],
    *,
    temperature: float = 0.0,
    max_new_tokens: int = 128,
    seed: int = 0,
    progress: bool = False,
) -> Comparison:
    """Let every model answer every prompt.

    Models that share a base are loaded as one base with several adapters and answer in one batch.
    A response is the one that the model gives alone: neither the other models nor their order
    matter (in 16-bit arithmetic, up to rounding).

    Args:
        sources: what ``models.load_model`` takes, by the name to show.
        prompts: user messages, conversations, or examples of the world, whose responses are
            given their true reward.

    Raises:
        ModelError: a model that cannot be loaded.
        ValueError: no model or no prompt.
    """
    if not sources or not prompts:
        raise ValueError("a comparison needs at least one model and one prompt")
    asked = [item.prompt if isinstance(item, Example) else item for item in prompts]
    settings = {"temperature": temperature, "max_new_tokens": max_new_tokens, "seed": seed}
    groups: dict[str, list[str]] = {}
    for name, source in sources.items():
        found = resolve(source)
        # The second form cannot be the name of a base, so such a model is alone in its group.
        key = found.base if _can_share(found) else f"{found.adapter}\n{name}"
        groups.setdefault(key, []).append(name)
    answers: dict[str, list[str]] = {}
    for names in groups.values():
        together = {name: sources[name] for name in names}
        answers |= _respond_together(together, asked, progress=progress, **settings)
    responses = {name: answers[name] for name in sources}
    scores = None
    if all(isinstance(item, Example) for item in prompts):
        scores = {
            name: [true_reward(item.meta, text) for item, text in zip(prompts, texts)]
            for name, texts in responses.items()
        }
    tasks = [item.task if isinstance(item, Example) else "" for item in prompts]
    return Comparison(asked, tasks, responses, settings, scores)


def _can_share(found: Source) -> bool:
    """Say whether PEFT can mix a model with others in a batch: a bare base, or plain LoRA."""
    if found.adapter is None:
        return True
    config = PeftConfig.from_pretrained(found.adapter)
    special = config.peft_type != "LORA" or config.use_dora or config.target_parameters
    return not special


def _respond_together(sources, prompts, **options) -> dict[str, list[str]]:
    """Let models of one base answer, in the same batches."""
    found = {name: resolve(source) for name, source in sources.items()}
    first = next(iter(sources))
    tokenizer, model = load_tokenizer(sources[first]), load_model(found[first].base)
    adapters = []
    for place, weights in enumerate(found.values()):
        adapters.append(f"adapter{place}" if weights.adapter else "__base__")
        with no_deprecations():
            if weights.adapter and isinstance(model, PeftModel):
                model.load_adapter(weights.adapter, adapters[-1])
            elif weights.adapter:
                model = PeftModel.from_pretrained(model, weights.adapter, adapter_name=adapters[-1])
    rows = [(prompt, adapter) for adapter in adapters for prompt in prompts]
    mixed = [adapter for _, adapter in rows] if len(set(adapters)) > 1 else None
    texts = generate(
        model.eval(), tokenizer, [prompt for prompt, _ in rows], adapters=mixed, **options
    )
    size = len(prompts)
    return {name: texts[i * size : (i + 1) * size] for i, name in enumerate(sources)}


# What the demonstration asks: label, task, wordings, and which of the task's judges it is for.
# The kinds that tell base, SFT and DPO models apart come first and are asked twice first.
_KINDS = (
    ("manual", "manual", "train", None),
    ("manual, new wording", "manual", "held_out", None),
    ("unknown product", "abstain", "train", None),
    ("explain", "explain", "train", None),
    ("explain, new wording", "explain", "held_out", None),
    ("contract", "contract", "held_out", None),
    ("refuse: unsafe", "refuse", "train", "unsafe"),
    ("refuse: safe", "refuse", "train", "safe"),
    ("slogan", "slogan", "train", None),
    *((f"instruction: {name.replace('_', ' ')}", name, "train", None) for name in FAMILIES),
    ("product in the SFT data only", "new_products", "train", None),
)


def world_prompts(world, count: int = 24, split: str = "test", seed: int = 0) -> list[Example]:
    """Draw prompts of every kind for a comparison, with a readable label as their ``task``.

    From 18 on every kind is there: manual questions (also in new wordings, and of products that
    exist nowhere or in the SFT data only), contracts, every family of instructions, explanations,
    slogans, requests to refuse and their harmless neighbours. Prompts of a kind are neighbours.

    Raises:
        ValueError: more prompts asked for than there are different ones.
    """
    kinds = []
    for label, task, wordings, judged in _KINDS:
        # More than are needed, since some repeat and some are for the other judge.
        drawn = draw_examples(world, task, 8 + count, split, wordings, seed=f"compare{seed}")
        fitting = [e for e in drawn if judged is None or e.meta["judge"] == judged]
        distinct = {example.prompt: example for example in fitting}
        kinds.append([replace(example, task=label) for example in distinct.values()])
    if sum(map(len, kinds)) < count:
        raise ValueError(f"only {sum(map(len, kinds))} different prompts here, not {count}")
    taken = [0] * len(kinds)
    while sum(taken) < count:
        for place, examples in enumerate(kinds):
            taken[place] += sum(taken) < count and taken[place] < len(examples)
    return [example for examples, n in zip(kinds, taken) for example in examples[:n]]


def to_html(comparison: Comparison, path: str | Path, title: str) -> Path:
    """Write a comparison as one HTML file that needs nothing else and runs nothing.

    The file appears whole or not at all.
    """
    path = Path(path)
    page = document(title, table(comparison))
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, page)


def table(comparison: Comparison) -> str:
    """Return the table of a comparison as HTML without a page around it."""
    settings = ", ".join(f"{key} {value}" for key, value in comparison.settings.items())
    caption = f"{len(comparison.prompts)} prompts and their responses."
    if comparison.scores:
        caption += f" True scores go from 0 to {sum(WEIGHTS.values()):g}; higher is better."
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in comparison.models)
    means = [_facts(comparison, name) for name in comparison.models]
    rows = "".join(_row(comparison, place) for place in range(len(comparison.prompts)))
    return (
        "<p>Words that no other column of the row has are underlined. Sampling: "
        f"{escape(settings) or 'not recorded'}.</p>\n"
        f'<table style="min-width:{7 + 13 * len(comparison.models)}rem">\n'
        f"<caption>{caption}</caption>\n"
        f'<thead><tr><th scope="col" style="width:6rem">Task</th>{head}</tr></thead>\n'
        f'<tbody><tr><th scope="row">Mean</th>{"".join(f"<td>{m}</td>" for m in means)}</tr>'
        f"</tbody>\n{rows}</table>\n"
    )


def _row(comparison: Comparison, place: int) -> str:
    """Return one prompt and, under it, one cell with the response of each model."""
    prompt = comparison.prompts[place]
    if not isinstance(prompt, str):
        prompt = "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in prompt)
    pieces = differing([texts[place] for texts in comparison.responses.values()])
    cells = []
    for name, parts in zip(comparison.models, pieces):
        # Alone, a column has nothing to differ from.
        marked = "".join(
            f"<u>{escape(text)}</u>" if differs and len(pieces) > 1 else escape(text)
            for text, differs in parts
        )
        cells.append(f"<td>{preformatted(marked)}{_facts(comparison, name, place)}</td>")
    return (
        f'<tbody>\n<tr><th scope="rowgroup" rowspan="2">{place + 1}<br>'
        f'{escape(comparison.tasks[place])}</th><td colspan="{len(cells)}"><details open>'
        f"<summary>Prompt</summary>{preformatted(escape(prompt))}</details></td></tr>\n"
        f"<tr>{''.join(cells)}</tr>\n</tbody>\n"
    )


def _facts(comparison: Comparison, name: str, place: int | None = None) -> str:
    """Return the length and true score of one response, or the means of a model's responses."""
    rows = range(len(comparison.prompts)) if place is None else [place]
    length = fmean(len(comparison.responses[name][row].split()) for row in rows)
    facts = f"{length:.1f} words" if place is None else f"{length:.0f} words"
    if comparison.scores:
        facts += f", true score {fmean(comparison.scores[name][row] for row in rows):.2f}"
    return f'<p class="al-facts">{facts}</p>'
