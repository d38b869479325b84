"""Several LoRA adapters of one base in one batch: every row goes through its own."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import AuxiliaryTrainingWrapper
from torch.nn import functional

BASE = "__base__"  # PEFT's name for no adapter


class JoinedAdapters:
    """The LoRA adapters of one linear layer as one of all their ranks, of which a row has a part.

    Row i adds (x Aᵀ ∘ mᵢ) Bᵀ to the layer's output, where A ``(ranks, in)`` and B ``(out, ranks)``
    hold the matrices of all adapters one after another, and mᵢ is 1 on the ranks of its own.
    """

    def __init__(self, layer: LoraLayer, names: Sequence[str]):
        here = [name for name in names if name in layer.lora_A]
        self.owners = tuple(name for name in here for _ in range(layer.r[name]))
        self.down = torch.cat([layer.lora_A[name].weight * layer.scaling[name] for name in here])
        self.up = torch.cat([layer.lora_B[name].weight for name in here], 1)
        self.mask: torch.Tensor | None = None  # (rows, 1, ranks); None where no row has an adapter

    def __call__(self, base_layer, args: tuple, output: torch.Tensor) -> torch.Tensor:
        """Return the output of the layer, ``(rows, tokens, out)``, with what the adapters add."""
        if self.mask is None:
            return output
        inputs = args[0]
        if len(inputs) != len(self.mask):
            raise ValueError(f"adapters for {len(self.mask)} rows, but the layer has {len(inputs)}")
        hidden = functional.linear(inputs.to(self.down.dtype), self.down) * self.mask
        return output + functional.linear(hidden, self.up).to(output.dtype)


@contextlib.contextmanager
def mixed_adapters(
    model: PeftModel, names: Sequence[str]
) -> Iterator[Callable[[Sequence[str]], dict]]:
    """Let the rows of a batch have different adapters, within the block.

    PEFT's own way, ``adapter_names``, picks out the rows of each adapter in every layer. On a CPU
    that takes longer than the layers of a small model, so it is left to adapters that are more
    than two matrices beside linear layers (DoRA, trained embeddings, ...).

    Args:
        names: the adapters that occur; ``"__base__"`` is none.

    Yields:
        A function that is told the adapter of each row of the batch to come, and returns what has
        to be passed to ``model.generate`` with it.
    """
    wanted = sorted({*names} - {BASE})
    special = (BaseTunerLayer, AuxiliaryTrainingWrapper)
    layers = [module for module in model.modules() if isinstance(module, special)]
    if not all(_is_plain(layer, wanted) for layer in layers):
        yield lambda rows: {"adapter_names": list(rows)}
        return
    joined = {
        layer: JoinedAdapters(layer, wanted) for layer in layers if {*wanted} & {*layer.lora_A}
    }

    def assign(rows: Sequence[str]) -> dict:
        masks = {}
        for adapters in joined.values():
            if adapters.owners not in masks:
                own = torch.tensor([[name == row for name in adapters.owners] for row in rows])
                mask = own[:, None].to(adapters.down.device, adapters.down.dtype)
                masks[adapters.owners] = mask if own.any() else None
            adapters.mask = masks[adapters.owners]
        return {}

    with contextlib.ExitStack() as stack:
        stack.enter_context(model.disable_adapter())
        for layer, adapters in joined.items():
            hook = layer.get_base_layer().register_forward_hook(adapters)
            stack.callback(hook.remove)
        yield assign


def _is_plain(layer: torch.nn.Module, names: Sequence[str]) -> bool:
    """Say whether these adapters do nothing to a layer but add B A x to its output."""
    if not isinstance(layer, LoraLayer) or layer.lora_embedding_A:
        return False
    pairs = [(layer.lora_A[name], layer.lora_B[name]) for name in names if name in layer.lora_A]
    linear = all(type(part) is torch.nn.Linear for pair in pairs for part in pair)
    return linear and not layer.lora_variant and all(up.bias is None for _, up in pairs)
