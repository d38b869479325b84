"""Data for training: rows of any usual format, checked, in TRL's conversational columns.

A source is a local file or the id of a Hub data set (both are read in files.py), or ``world:TASK``.
Whatever the format of its rows (formats.py), out come ``prompt`` and ``completion``, or ``prompt``,
``chosen`` and ``rejected``, each a list of ``{"role", "content"}``. Nothing is repaired and no row
is dropped: the first bad one raises a DataError naming file, line, field and what was expected.
"""

from difflib import get_close_matches
from pathlib import Path

import datasets

from alignlab.files import DataError, file_rows, line_rows, located_rows
from alignlab.files import read_rows as read_rows
from alignlab.formats import PREFERENCE_FORMATS, SFT_FORMATS, convert, read_turns, shared_length
from alignlab.world import SPLITS, World
from alignlab.world.instructions import FAMILIES
from alignlab.world.preferences import draw_pairs
from alignlab.world.recipes import compared, labelled, preference_rows, sft_rows
from alignlab.world.tasks import TASKS, draw_examples

WORLD_EXAMPLES = 500  # rows drawn for one task of the world; its mixtures have sizes of their own
WORLD_SFT = ("sft", *TASKS, *FAMILIES)
WORLD_PREFERENCES = ("preferences", "style", "abstention")


def read_prompts(source: str | Path) -> list[str | list[dict]]:
    """Return prompts: the field ``prompt`` (text or messages) of every row, or lines of plain text.

    Args:
        source: a file as for ``read_rows``; in any other every line that is not blank is a prompt.

    Raises:
        DataError: as ``read_rows``; also a row without a prompt.
    """
    prompts = []
    for place, row in file_rows(Path(source), otherwise=line_rows):
        turns = read_turns(row, "prompt", "user", place)
        prompts.append(turns if isinstance(row["prompt"], list) else row["prompt"])
    return prompts


def sft_dataset(source: str | Path, seed: int = 0, split: str = "train") -> datasets.Dataset:
    """Return demonstrations with the columns ``prompt`` and ``completion``, lists of messages.

    Rows may have ``prompt`` and ``completion`` (text or messages: TRL), ``messages`` (all but the
    last, which must be the assistant's, are the prompt) or ``instruction``, ``input`` and
    ``output`` (Alpaca; the input goes below the instruction). Text is kept as it is.

    Args:
        source: a file (``read_rows``), a Hub id, or ``world:`` and ``sft`` (the mixture of the
            bundled recipe), a task or a family of ``alignlab.world.tasks``.
        seed: of the draw from the world; the rows of a file or Hub data set keep their order.
        split: of the world (``train``, ``validation``, ``test``) or the Hub data set; a file is
            one split, ``train``.

    Raises:
        DataError: nothing there, or the first row that is not as it should be.
    """
    return _dataset(source, seed, split, WORLD_SFT, SFT_FORMATS)


def preference_dataset(source: str | Path, seed: int = 0, split: str = "train") -> datasets.Dataset:
    """Return comparisons with the columns ``prompt``, ``chosen`` and ``rejected``.

    Rows may have all three (text or messages: TRL), or two whole conversations ``chosen`` and
    ``rejected`` whose common beginning is the prompt: lists of messages, or transcripts of
    ``"\\n\\nHuman: "`` and ``"\\n\\nAssistant: "`` (HH-RLHF, Bai et al. 2022).

    Args:
        source: as for ``sft_dataset``, with ``world:preferences`` (the mixture of the bundled
            recipe), ``world:style`` and ``world:abstention``.
        seed, split: as for ``sft_dataset``.

    Raises:
        DataError: nothing there, or the first row that is not as it should be.
    """
    return _dataset(source, seed, split, WORLD_PREFERENCES, PREFERENCE_FORMATS)


def show_mask(tokenizer, row: dict) -> list[tuple[str, int]]:
    """Return the tokens of a row as text, each with 1 where the loss counts it and 0 where not.

    As in TRL's trainers, the completion begins where the prompt alone, laid out by the chat
    template with the opening of the response, and the whole conversation part.

    Args:
        row: of ``sft_dataset`` or of ``preference_dataset`` (then ``chosen`` is shown).
    """
    completion = row["completion"] if "completion" in row else row["chosen"]
    prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True)["input_ids"]
    ids = tokenizer.apply_chat_template(row["prompt"] + completion)["input_ids"]
    start = shared_length(prompt, ids)
    return [(tokenizer.decode([token]), int(i >= start)) for i, token in enumerate(ids)]


def _dataset(source, seed: int, split: str, world_names: tuple, formats: dict) -> datasets.Dataset:
    source = str(source)
    if source.startswith("world:"):
        rows = _world_rows(source.removeprefix("world:"), seed, split, world_names)
    else:
        rows = convert(located_rows(source, split), formats)
    dataset = datasets.Dataset.from_list(rows)
    dataset.info.description = source  # named where a row does not fit (lengths.py)
    return dataset


def _world_rows(name: str, seed: int, split: str, names: tuple[str, ...]) -> list[dict]:
    for what, value, known in (("task", name, names), ("split", split, tuple(SPLITS))):
        if value not in known:
            nearest = get_close_matches(value, known, n=1, cutoff=0.0)[0]
            raise DataError(
                f"world:{name}: no {what} {value!r} for this use; did you mean {nearest!r}? "
                f"expected one of {', '.join(known)}"
            )
    world = World()
    if name in ("sft", "preferences"):
        if split != "train":
            raise DataError(f"world:{name}: a recipe for training; expected split 'train'")
        return sft_rows(world, seed) if name == "sft" else preference_rows(world, seed)
    if name in WORLD_PREFERENCES:
        return compared(draw_pairs(world, name, WORLD_EXAMPLES, split, seed))
    return labelled(draw_examples(world, name, WORLD_EXAMPLES, split, seed=seed), f"{name}:{seed}")
