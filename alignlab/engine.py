"""Several models kept loaded, which answer one prompt together, token by token, until stopped.

For many prompts at once see ``compare.respond``; a response is the same there and here.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel
from transformers import LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from alignlab.adapters import BASE, mixed_adapters
from alignlab.divergence import response_logprobs
from alignlab.generate import GumbelSampling, prompt_seed, render, response_texts
from alignlab.models import Source, base_path, load_model, load_tokenizer, resolve
from alignlab.runs import quiet

INTERVAL = 0.1  # seconds between two updates: more often nobody can read


@dataclass(frozen=True)
class Settings:
    """How responses are sampled, by the names of ``generate``'s arguments.

    Raises:
        ValueError: a temperature below 0 or that is no number, or no tokens to generate.
    """

    temperature: float = 0.0
    max_new_tokens: int = 128
    seed: int = 0

    def __post_init__(self):
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"the temperature is {self.temperature}; it must be 0 or above")
        if self.max_new_tokens < 1:
            raise ValueError(f"the maximum length is {self.max_new_tokens}; it must be 1 or above")


@dataclass(frozen=True)
class Family:
    """Models that share a base: the base once, and the adapter of each model by its name."""

    model: torch.nn.Module
    tokenizer: object
    adapters: Mapping[str, str]

    def logprobs(self, name: str, prompt: str | list[dict], response: str) -> list[float]:
        """Return the log-probability, in nats, of each token of a text and of the end after it."""
        with self._mixed() as assign:
            if assign:
                assign([self.adapters[name]])
            return response_logprobs(self.model, self.tokenizer, [prompt], [response])[0]

    def generate(self, names: Sequence[str], prompt, settings: Settings, watch: "_Watch") -> None:
        """Let some of the models answer a prompt in one batch, and tell every step to ``watch``."""
        text = render(self.tokenizer, prompt)
        inputs = self.tokenizer(
            [text] * len(names), return_tensors="pt", add_special_tokens=False,
            return_token_type_ids=False,
        ).to(self.model.device)  # fmt: skip
        watch.begin(names, self.tokenizer, inputs["input_ids"].shape[1])
        options = {}
        if settings.temperature > 0:
            seeds = [prompt_seed(text, settings.seed)] * len(names)
            sampling = GumbelSampling(settings.temperature, seeds)
            options["logits_processor"] = LogitsProcessorList([sampling])
        with self._mixed() as assign, torch.inference_mode():
            if assign:
                options |= assign([self.adapters[name] for name in names])
            self.model.generate(
                **inputs, do_sample=False, max_new_tokens=settings.max_new_tokens,
                pad_token_id=self.tokenizer.pad_token_id, eos_token_id=self.tokenizer.eos_token_id,
                stopping_criteria=StoppingCriteriaList([watch]), **options,
            )  # fmt: skip
        watch.report(ended=True)

    def _mixed(self):
        if len(self.adapters) == 1 or not isinstance(self.model, PeftModel):
            return nullcontext()
        return mixed_adapters(self.model, [*self.adapters.values()])


class _Watch(StoppingCriteria):
    """Follows a batch while it is generated: passes its texts on now and then, and ends it."""

    def __init__(self, on_update: Callable[[dict[str, str]], None], stop: threading.Event):
        self.on_update, self.stop = on_update, stop
        self.texts: dict[str, str] = {}
        self.told = 0.0

    def begin(self, names: Sequence[str], tokenizer, start: int) -> None:
        self.names, self.tokenizer, self.start, self.ids = names, tokenizer, start, None

    def __call__(self, input_ids: torch.LongTensor, scores, **kwargs) -> torch.Tensor:
        """Return whether to stop, ``(batch,)``."""
        self.ids = input_ids[:, self.start :]
        if time.monotonic() - self.told >= INTERVAL:
            self.report()
        return torch.full((len(input_ids),), self.stop.is_set(), device=input_ids.device)

    def report(self, ended: bool = False) -> None:
        if self.ids is None:
            return
        texts = response_texts(self.tokenizer, self.ids)
        if not ended:
            # The bytes of one character may come in several tokens.
            texts = [text.rstrip("\ufffd") for text in texts]
        self.texts |= zip(self.names, texts)
        self.on_update(dict(self.texts))
        self.told = time.monotonic()


class Engine:
    """Models by their names, loaded once; those that share a base as one base with adapters.

    Args:
        sources: what ``models.load_model`` takes, by the name to show.

    Raises:
        ModelError: a model that cannot be loaded.
        ValueError: no model.
    """

    def __init__(self, sources: Mapping[str, str | Path]):
        if not sources:
            raise ValueError("there must be at least one model")
        self.sources = {name: str(source) for name, source in sources.items()}
        self.families: list[Family] = []
        self.hashes: dict[str, str] = {}
        self._busy = threading.Lock()  # the models' hooks and caches are those of one caller
        groups: dict[str, list[str]] = {}
        for name, source in sources.items():
            found = resolve(source)
            key = found.base if _is_plain(found) else f"{found.adapter}\n{name}"
            groups.setdefault(key, []).append(name)
        for names in groups.values():
            family = _load({name: sources[name] for name in names})
            self.families.append(family)
            for name in names:
                self.hashes[name] = _digest(resolve(sources[name]), family.model)

    @property
    def names(self) -> list[str]:
        """Return the models' names, in the order in which they were given."""
        return list(self.sources)

    def respond(
        self,
        prompt: str | list[dict],
        names: Sequence[str],
        settings: Settings,
        on_update: Callable[[dict[str, str]], None] = lambda texts: None,
        stop: threading.Event | None = None,
    ) -> dict[str, str]:
        """Let some of the models answer one prompt.

        A response is the one that the model gives alone: which others answer does not matter.

        Args:
            on_update: is told the texts so far, by name, at most ten times a second and at the
                end, in the caller's thread.
            stop: set it from another thread to end after the next token; Ctrl-C or a notebook's
                Interrupt does the same where no other thread can.

        Returns:
            The responses by name. Of a stopped call those parts that were there.
        """
        stop = stop or threading.Event()
        watch = _Watch(on_update, stop)
        with self._busy:
            try:
                for family in self.families:
                    asked = [name for name in names if name in family.adapters]
                    if asked and not stop.is_set():
                        family.generate(asked, prompt, settings, watch)
            except KeyboardInterrupt:
                stop.set()
        return {name: watch.texts.get(name, "") for name in names}

    def logprobs(self, name: str, prompt: str | list[dict], response: str) -> list[float]:
        """Return the log-probability, in nats, of each token of a text and of the end after it."""
        with self._busy:
            return self.family(name).logprobs(name, prompt, response)

    def family(self, name: str) -> Family:
        """Return the family of a model."""
        return next(family for family in self.families if name in family.adapters)


def _is_plain(found: Source) -> bool:
    """Say whether a model can be mixed with others in a batch: a bare base, or plain LoRA."""
    if found.adapter is None:
        return True
    config = PeftConfig.from_pretrained(found.adapter)
    return config.peft_type == "LORA" and not (config.use_dora or config.target_parameters)


def _load(sources: Mapping[str, str | Path]) -> Family:
    """Load the models of one base."""
    found = {name: resolve(source) for name, source in sources.items()}
    first = next(iter(sources))
    with quiet():
        model, adapters = load_model(found[first].base), {}
        for place, (name, weights) in enumerate(found.items()):
            adapters[name] = f"adapter{place}" if weights.adapter else BASE
            if weights.adapter and isinstance(model, PeftModel):
                model.load_adapter(weights.adapter, adapters[name])
            elif weights.adapter:
                model = PeftModel.from_pretrained(model, weights.adapter, adapters[name])
    return Family(model.eval(), load_tokenizer(sources[first]), adapters)


def _digest(found: Source, model) -> str:
    """Return a digest of a model's weights, or of its name and commit where they are the Hub's."""
    digest = hashlib.sha256()
    base = Path(base_path(found.base))
    files = sorted(base.glob("*.safetensors")) if base.is_dir() else []
    if not files:
        digest.update(f"{found.base}@{getattr(model.config, '_commit_hash', None)}".encode())
    files += sorted(found.adapter.glob("*.safetensors")) if found.adapter else []
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"
