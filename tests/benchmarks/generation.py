"""Responses for a comparison of three models: in shared batches, or one ``generate`` at a time."""

import time

from peft import PeftModel

from alignlab import runs
from alignlab.compare import world_prompts
from alignlab.generate import generate_ids
from alignlab.models import load_model
from alignlab.world import World

from .setting import Row, Work, in_turn, rate_row
from .training import Runs

LOOP = "model.generate for one prompt after another, by each model with its own adapter"


class Comparison:
    """The base, an SFT run and a DPO run, and the prompts that all three answer greedily."""

    def __init__(self, made: Runs):
        self.tokenizer, self.length = made.tokenizer, made.sizes.max_new_tokens
        self.prompts = [e.prompt for e in world_prompts(World(), made.sizes.prompts)]
        sources = {"__base__": made.model, "sft": made.sft_run, "dpo": made.dpo_run}
        with runs.quiet():
            self.models = {name: load_model(source) for name, source in sources.items()}
            shared = PeftModel.from_pretrained(
                load_model(made.model), made.sft_run / "adapter", adapter_name="sft"
            )
            shared.load_adapter(made.dpo_run / "adapter", "dpo")
        self.shared = shared.eval()
        self.responses: dict[str, list[list[int]]] = {}

    def ours(self) -> Work:
        """Generate for all models at once: each row of a batch names its adapter."""
        rows = [(prompt, name) for name in self.models for prompt in self.prompts]
        started = time.perf_counter()
        responses = generate_ids(
            self.shared, self.tokenizer, [prompt for prompt, _ in rows],
            adapters=[name for _, name in rows], max_new_tokens=self.length,
        )  # fmt: skip
        return self._work("ours", started, responses)

    def loop(self) -> Work:
        """Generate one response after another."""
        started = time.perf_counter()
        responses = [
            self.alone(model, prompt, self.length)
            for model in self.models.values()
            for prompt in self.prompts
        ]
        return self._work("loop", started, responses)

    def alone(self, model, prompt: str, length: int) -> list[int]:
        """Return the token ids of one model's response to one prompt."""
        inputs = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True,
            return_dict=True, return_tensors="pt",
        )  # fmt: skip
        output = model.generate(
            **inputs, do_sample=False, max_new_tokens=length,
            eos_token_id=self.tokenizer.eos_token_id, pad_token_id=self.tokenizer.pad_token_id,
        )  # fmt: skip
        return output[0, inputs["input_ids"].shape[1] :].tolist()

    def _work(self, side: str, started: float, responses: list[list[int]]) -> Work:
        seconds = time.perf_counter() - started
        self.responses[side] = responses
        return Work(seconds, len(responses), sum(map(len, responses)))


def measure_generation(made: Runs) -> list[Row]:
    """Compare shared batches with a loop of ``generate`` per prompt and model."""
    compared = Comparison(made)
    sides = {"ours": compared.ours, "loop": compared.loop}
    works = in_turn("generation", sides, made.sizes.repetitions)
    # Greedy responses may differ where two tokens are equal up to rounding.
    same = sum(a == b for a, b in zip(compared.responses["ours"], compared.responses["loop"]))
    return [
        rate_row(
            f"generation, 3 models x {len(compared.prompts)} prompts", "responses/s", 5.0,
            works["ours"], works["loop"], identical_responses=same,
            our_settings=f"batches of up to 128, greedy, up to {compared.length} tokens",
            their_settings=LOOP,
        )
    ]  # fmt: skip
