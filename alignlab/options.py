"""What every training run can be told, beside the options of its TRL config. Loads no library."""

from dataclasses import dataclass, field, fields


def _option(default, help: str, flag: str | None = None, off: tuple[str, str] | None = None):
    """Return a field with its flag's help and name, and the flag with help that turns it off."""
    return field(default=default, metadata={"help": help, "flag": flag, "off": off})


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options that ``sft``, ``dpo`` and ``reward`` share; those with a help text are flags too.

    Attributes:
        use_lora: train a LoRA adapter of ``rank``, or all weights.
        seed: of the order of the data and of what is drawn at random: adapters, a reward's head.
        resume: go on from a run that was killed, with the same options and rows.
        overwrite: replace the run that is in the output folder.
        progress: show bars.
        drop_too_long: leave out rows whose prompt leaves no room for a response in the config's
            ``max_length`` tokens, and print how many of how many; else one such row is an error.
        data_name: where the rows come from, for ``config.json``.
    """

    use_lora: bool = _option(
        True, "train a LoRA adapter (the default)", "--lora", off=("--full", "train all weights")
    )
    rank: int = _option(64, "of the LoRA adapter")
    seed: int = _option(0, "of data order and adapters")
    resume: bool = _option(False, "go on from a run that was killed")
    overwrite: bool = _option(False, "replace the output folder")
    progress: bool = _option(True, "show bars (the default)", off=("--no-progress", "show no bars"))
    drop_too_long: bool = _option(
        False, "drop rows whose prompt leaves no room for a response", "--drop-too-long"
    )
    data_name: str = ""

    @classmethod
    def split(cls, options: dict) -> tuple["RunOptions", dict]:
        """Divide keyword arguments into a run's own options and those for TRL's config."""
        own = {option.name for option in fields(cls)}
        run = cls(**{name: value for name, value in options.items() if name in own})
        return run, {name: value for name, value in options.items() if name not in own}
