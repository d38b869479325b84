"""What is measured on a GPU: settings, sides, a figure for each, and time that is limited."""

import statistics
import time
from dataclasses import asdict, dataclass, field

from .gpu_shapes import SHAPES, TOY, Shape

OURS, LEAN, AHEAD = "ours", "ours, checkpointed", "ours, reference precomputed"
TRL, BARE = "TRL's defaults", "bare loop"
BATCHED, SEQUENTIAL = "batched", "one by one"
HOW = {
    OURS: "alignlab.sft and alignlab.dpo: LoRA on a 16-bit base or all weights in float32, "
    "16-bit arithmetic, batches of like length, no gradient checkpointing",
    LEAN: "the same with gradient_checkpointing=True",
    AHEAD: "the same with precompute_ref_log_probs=True; scoring the reference comes first, and "
    "its time is before_seconds",
    TRL: "{SFT,DPO}Trainer(model=FOLDER, train_dataset=ROWS, args=Config()): float32 weights, "
    "bfloat16 arithmetic, gradient checkpointing, batches of 8 in random order; added are epochs, "
    "an output folder, no bar, no checkpoint, and for LoRA the adapter that ours trains",
    BARE: "forward, loss, backward, clipping, fused AdamW over the batches of our run, in the "
    "precision of ours, no gradient checkpointing, all logits",
    BATCHED: "alignlab.generate.generate_ids: every row of a batch has its own adapter, greedy",
    SEQUENTIAL: "model.set_adapter, then model.generate for one prompt after another, of a part "
    "of the prompts",
}
GOALS = {"speed": 1.5, "memory": 0.6, "utilisation": 0.45}
# Dense 16-bit operations a second, in units of 10^12, by part of the device's name (NVIDIA's data
# sheets; those of the SXM modules).
PEAKS = {"T4": 65, "L4": 121, "A100": 312, "H100": 989, "H200": 989}


@dataclass(frozen=True)
class Sizes:
    """How much is measured. Lengths are in tokens.

    Attributes:
        examples: rows of one epoch of SFT; DPO has half as many pairs.
        epochs: of each run; the first warms up and does not count.
        new_tokens: of each response.
        asked_singly: prompts that each adapter is asked one by one, in each repetition.
    """

    shapes: tuple[Shape, ...] = SHAPES
    longest: int = 1024
    examples: int = 48
    batch: int = 8
    epochs: int = 4
    prompts: int = 24
    new_tokens: int = 32
    asked_singly: int = 2


SMOKE = Sizes(
    shapes=(TOY,), longest=48, examples=16, epochs=2, prompts=3, new_tokens=4, asked_singly=1
)


@dataclass(frozen=True)
class Setting:
    """One model, method and kind of training; its sides are compared with each other."""

    shape: Shape
    method: str
    weights: str

    @property
    def sides(self) -> tuple[str, ...]:
        """Return what is compared."""
        if self.method == "generation":
            return BATCHED, SEQUENTIAL
        extra = () if self.weights == "full" else (LEAN, AHEAD)
        return (OURS, *(extra if self.method == "DPO" else extra[:1]), TRL, BARE)

    def __str__(self) -> str:
        return f"{self.method} {self.weights} {self.shape.name}"


@dataclass
class Row:
    """One side of a setting.

    Attributes:
        tokens, seconds: of every repetition that counts; no padding among the tokens.
        peak_gib: the most GPU memory that tensors took at once.
        utilisation: model FLOPs a second over the peak of the device.
        before_seconds: what was spent before the first step, on reference log-probabilities.
        missing: why there are no figures.
    """

    setting: str
    side: str
    tokens: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    peak_gib: float | None = None
    utilisation: float | None = None
    before_seconds: float | None = None
    missing: str = ""

    @property
    def tokens_per_second(self) -> float | None:
        """Return the median over the repetitions."""
        rates = [tokens / seconds for tokens, seconds in zip(self.tokens, self.seconds)]
        return statistics.median(rates) if rates else None

    def as_dict(self) -> dict:
        """Return what the JSON file says."""
        return asdict(self) | {"tokens_per_second": self.tokens_per_second}


def plan(sizes: Sizes) -> list[Setting]:
    """Return the settings in the order in which they are measured."""
    training = [
        Setting(shape, method, weights)
        for shape in sizes.shapes
        for method, weights in (
            ("SFT", "full"), ("SFT", "LoRA"), ("DPO", "LoRA"), ("DPO", "full")
        )
    ]  # fmt: skip
    middle = sizes.shapes[len(sizes.shapes) // 2]
    return [Setting(middle, "generation", "3 adapters"), *training]


def peak_flops(device: str) -> float | None:
    """Return the 16-bit operations a second of a device by its name; None where unknown."""
    words = device.replace("-", " ").split()
    found = [peak for name, peak in PEAKS.items() if name in words]
    return found[0] * 1e12 if found else None


class Budget:
    """Time that must not be exceeded: what may not be done in time is not begun."""

    def __init__(self, minutes: float):
        self.end = time.perf_counter() + 60 * minutes
        self.longest = 0.0

    def allows(self) -> bool:
        """Say whether something as long as the longest so far would end in time."""
        return time.perf_counter() + self.longest < self.end

    def spent(self, seconds: float) -> None:
        """Note how long something took."""
        self.longest = max(self.longest, seconds)
