"""Load a base model, a run folder or a Hub model, and decide where and how it runs."""

import contextlib
import difflib
import json
import os
import warnings
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

BUNDLED = Path(str(files("alignlab") / "model"))


class ModelError(ValueError):
    """A model that cannot be loaded, with what to do about it."""


@dataclass(frozen=True)
class Profile:
    """A default base model, and the TRL options that suit the machine it is meant for."""

    model: str
    purpose: str
    options: dict = field(default_factory=dict)


# True base models under the Apache 2.0 licence: nobody has tuned them to follow instructions, so
# what a notebook shows is what its own fine-tune did.
PROFILES = {
    "tiny": Profile("tiny", "the bundled model: for any CPU"),
    "t4": Profile(
        "HuggingFaceTB/SmolLM2-360M", "360M parameters (0.7 GB): for a 16 GB T4",
        {"learning_rate": 2e-4, "per_device_train_batch_size": 8},
    ),
    "gpu": Profile(
        "Qwen/Qwen3-0.6B-Base", "0.6B parameters (1.2 GB): for Ampere and newer GPUs",
        {"learning_rate": 2e-4, "per_device_train_batch_size": 16},
    ),
}  # fmt: skip


def profile(name: str | None = None) -> Profile:
    """Return a profile by name; without one, ``ALIGNLAB_PROFILE`` decides, then ``"tiny"``.

    Raises:
        ModelError: no profile of that name, with the nearest that there is.
    """
    name = name or os.environ.get("ALIGNLAB_PROFILE", "tiny")
    if name not in PROFILES:
        nearest = difflib.get_close_matches(name, PROFILES, 1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ModelError(f"no profile {name!r}; there are {', '.join(PROFILES)}{hint}")
    return PROFILES[name]


@dataclass(frozen=True)
class Source:
    """Where a model's weights are: a base, and an adapter on top of it or None."""

    base: str
    adapter: Path | None = None


def resolve(source: str | Path) -> Source:
    """Find the language model behind ``"tiny"``, a run folder, a model folder or a Hub id.

    Raises:
        ModelError: as ``find_weights``; also a reward model.
    """
    if is_reward_model(source):
        raise ModelError(
            f"{source} is a reward model (a sequence classifier), not a language model; "
            "alignlab.reward.load_reward_model loads it"
        )
    return find_weights(source)


def find_weights(source: str | Path) -> Source:
    """Find the weights of any model, a reward model too. Local folders become absolute paths.

    Raises:
        ModelError: a folder without weights, with pickled weights only, or whose base is missing.
    """
    if str(source) == "tiny":
        if not BUNDLED.is_dir():
            raise ModelError(f"no {BUNDLED}; build it: alignlab pretrain --output {BUNDLED}")
        return Source("tiny")
    if not Path(source).exists():
        if Path(source).is_absolute() or str(source).startswith(".") or str(source).count("/") > 1:
            raise ModelError(f"{source}: no such folder; give 'tiny', a run, a model or a Hub id")
        return Source(str(source))
    folder = Path(source).resolve()
    if (folder / "adapter").is_dir():
        return Source(_base_of(folder), folder / "adapter")
    if (folder / "model").is_dir():
        return Source(str(folder / "model"))
    if list(folder.glob("*.safetensors")):
        return Source(str(folder))
    if list(folder.glob("*.bin")) + list(folder.glob("*.pt*")):
        raise ModelError(
            f"{folder}: only pickled weights, which can run code when loaded; "
            "save the model with safetensors (save_pretrained does) and try again"
        )
    raise ModelError(f"{folder}: neither a run (adapter/ or model/) nor a model (*.safetensors)")


def _base_of(run: Path) -> str:
    """Return the base of a run with an adapter; a local one is named by its path from the run."""
    base = run_config(run).get("base")
    if base is None:
        raise ModelError(f"{run / 'config.json'}: no field 'base', which names the adapter's model")
    if not base.startswith(".."):
        return base
    if not (run / base).is_dir():
        raise ModelError(
            f"{run}: its base {os.path.normpath(run / base)} is not there; a run and the folder of "
            "its base move together"
        )
    return str((run / base).resolve())


def run_config(folder: str | Path) -> dict:
    """Return the ``config.json`` of a run or a model folder, empty where there is none to read."""
    try:
        return json.loads((Path(folder) / "config.json").read_text())
    except (OSError, json.JSONDecodeError):
        return {}


def is_reward_model(source: str | Path) -> bool:
    """Say whether a folder is a run of ``reward`` or holds a sequence classifier."""
    config = run_config(source)
    kinds = config.get("architectures") or []
    return config.get("method") == "reward" or any("SequenceClassif" in kind for kind in kinds)


def default_device() -> str:
    """Return ``"cuda"`` where there is a GPU, else ``"cpu"``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def default_dtype(device: str) -> torch.dtype:
    """Return the dtype to compute in.

    Compute capability decides, not ``is_bf16_supported``: a T4 (7.5) claims bfloat16 and emulates
    it. On a CPU bfloat16 is many times slower than float32 without special instructions.
    """
    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability()[0] >= 8 else torch.float16


def load_tokenizer(source: str | Path):
    """Load the tokenizer that belongs to a model, padding on the left, as generation needs."""
    base = base_path(find_weights(source).base)
    tokenizer = AutoTokenizer.from_pretrained(base, padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.chat_template is None:
        raise ModelError(
            f"{source}: the tokenizer has no chat template, so prompts cannot be laid out; set "
            "tokenizer.chat_template (plain 'User: ...' text will do) and save it again"
        )
    return tokenizer


def base_path(base: str) -> str:
    """Return what ``from_pretrained`` loads for the base of a ``Source``.

    Runs on the bundled model keep the word ``"tiny"``, so that they outlive a move of the package.
    """
    return str(BUNDLED) if base == "tiny" else base


def load_model(
    source: str | Path,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    trainable: bool = False,
):
    """Load a causal language model, with its adapter where it has one.

    Args:
        source: ``"tiny"`` (the bundled model), a run folder, a model folder or a Hub id.
        dtype: of the weights; by default what the device computes in.
        trainable: whether the adapter may be trained on.

    Raises:
        ModelError: nothing there that can be loaded safely, or a reward model.
    """
    found = resolve(source)
    device = device or default_device()
    dtype = dtype or default_dtype(device)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base_path(found.base), dtype=dtype, use_safetensors=True
        )
    except OSError as error:
        raise ModelError(f"{source}: cannot be loaded: {error}") from error
    model.to(device)
    if found.adapter:
        with no_deprecations():
            model = PeftModel.from_pretrained(model, found.adapter, is_trainable=trainable)
        # A run names its base for any machine; PEFT, when it saves, looks it up on this one.
        model.peft_config["default"].base_model_name_or_path = base_path(found.base)
    return model if trainable else model.eval()


def load_to_train(source: str | Path, device: str, use_lora: bool = True, rank: int = 64):
    """Load a model to be trained, and the LoRA that TRL is to add to it.

    A model with an adapter goes on in that adapter. Where all weights are trained it is merged, and
    they are in float32: a full fine-tune's small updates would be lost in 16-bit weights.

    Returns:
        The model, and a ``LoraConfig`` or None.
    """
    model = load_model(source, device, None if use_lora else torch.float32, trainable=True)
    if use_lora:
        return model, None if isinstance(model, PeftModel) else lora(rank)
    return merged(model).requires_grad_(True), None  # an adapter had frozen the weights


def merged(model):
    """Return a model with its adapter, where it has one, merged into its weights."""
    return model.merge_and_unload() if isinstance(model, PeftModel) else model


@contextlib.contextmanager
def no_deprecations():
    """Hide that PEFT and TRL use names which Transformers renames: nobody here can mend that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`(is_)?gradient_checkpointing` is dep", FutureWarning)
        yield


def lora(rank: int = 64, alpha: int | None = None) -> LoraConfig:
    """Return the course's LoRA: all linear layers, no dropout, alpha equal to the rank.

    Source: Hu et al. 2021, https://arxiv.org/abs/2106.09685.
    """
    return LoraConfig(
        r=rank, lora_alpha=alpha or rank, lora_dropout=0.0, target_modules="all-linear",
        task_type="CAUSAL_LM",
    )  # fmt: skip
