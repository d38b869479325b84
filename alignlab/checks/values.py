"""The values that checks compare: numbers, tensors, NumPy arrays, and lists of these.

They are taken by their exact type, so that an object with an ``==`` of its own is not believed.
"""

import math

import numpy as np
import torch

# Relative and absolute. An answer may compute in float32, which is less exact.
TOLERANCES = {torch.float64: 1e-6, torch.int64: 1e-6, torch.float32: 1e-5}


def logits_for(generator: torch.Generator, *shape: int) -> torch.Tensor:
    """Draw logits that are far enough apart for a softmax to be uneven."""
    return 3 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def tensors(value) -> list[torch.Tensor]:
    """Return the tensors of an argument: itself, or the members of a list."""
    return [value] if isinstance(value, torch.Tensor) else list(value)


def as_expected(value):
    """Return what a reference or a mistake gives as tensors: plain numbers in float64."""
    if isinstance(value, list | tuple):
        return tuple(map(as_expected, value))
    return value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=torch.float64)


def as_parts(expected) -> list[torch.Tensor]:
    """Return an expected value as a list of tensors."""
    return [expected] if isinstance(expected, torch.Tensor) else list(expected)


def plain(got, expected) -> list[torch.Tensor]:
    """Return what an answer gave as tensors on the CPU, one for each that is expected.

    Raises:
        TypeError: something that is no number, tensor, array or list of these, another number of
            values, or floating-point numbers where whole ones are expected.
    """
    wanted = as_parts(expected)
    if not isinstance(expected, torch.Tensor):
        kind = type(got)
        if kind in (torch.Tensor, torch.nn.Parameter) and got.ndim:
            got = got.unbind()
        elif kind not in (list, tuple):
            raise TypeError(f"it returned {_kind(got)}, expected {len(wanted)} values")
        if len(got) != len(wanted):
            raise TypeError(f"it returned {len(got)} values, expected {len(wanted)}")
    found = [_tensor(part) for part in ([got] if isinstance(expected, torch.Tensor) else got)]
    for part, want in zip(found, wanted):
        if not want.is_floating_point() and part.dtype not in (torch.int64, torch.int32):
            raise TypeError(f"it returned {part.dtype} where whole numbers are expected")
    return found


def _tensor(value) -> torch.Tensor:
    kind = type(value)
    if kind in (torch.Tensor, torch.nn.Parameter) and value.dtype != torch.bool:
        return value.cpu()
    if kind is float or kind is int:
        return torch.tensor(value, dtype=torch.float64 if kind is float else torch.int64)
    if kind is np.ndarray or (issubclass(kind, np.number) and kind.__module__ == "numpy"):
        return torch.as_tensor(value)
    if kind in (list, tuple) and len(value):
        parts = [_tensor(part) for part in value]
        if len({part.shape for part in parts}) == 1:
            return torch.stack(parts)
    raise TypeError(f"it returned {_kind(value)}, expected a number or a tensor")


def _kind(value) -> str:
    return "nothing (is a return missing?)" if value is None else type(value).__name__


def excess(parts: list[torch.Tensor], expected) -> float:
    """Return the largest error in units of what is allowed; infinite for another shape."""
    worst = 0.0
    for part, want in zip(parts, as_parts(expected), strict=True):
        if part.shape != want.shape:
            return math.inf
        if part.numel():
            worst = max(worst, _errors(part, want).max().item())
    return worst


def _errors(part: torch.Tensor, want: torch.Tensor) -> torch.Tensor:
    tolerance = TOLERANCES.get(part.dtype, 1e-5)
    part, want = part.detach().to(torch.float64), want.detach().to(torch.float64)
    errors = (part - want).abs() / (tolerance * (1 + want.abs()))
    # Only a mistake's value, never an expected one, is no number.
    equal = (part == want) | (part.isnan() & want.isnan())
    return errors.masked_fill(equal, 0.0).nan_to_num(nan=math.inf)


def difference(parts: list[torch.Tensor], expected) -> str:
    """Return where and how an answer's tensors first differ from what is expected, in words.

    Raises:
        AssertionError: they do not.
    """
    wanted = as_parts(expected)
    for number, (part, want) in enumerate(zip(parts, wanted)):
        which = f"value {number} of {len(wanted)}" if len(wanted) > 1 else "the value"
        if part.shape != want.shape:
            return f"{which} has shape {tuple(part.shape)}, expected {tuple(want.shape)}"
        errors = _errors(part, want)
        if part.numel() and errors.max() > 1:
            place = np.unravel_index(int(errors.argmax()), want.shape)
            at = f" at {[int(i) for i in place]}" if place else ""
            return f"{which}{at} is {part[place].item():.6g}, expected {want[place].item():.6g}"
    raise AssertionError("the values are equal")


def same(before, after) -> bool:
    """Say whether two arguments of an exercise are equal to the last bit, tensors in lists too."""
    if isinstance(before, torch.Tensor):
        return before.shape == after.shape and torch.equal(before, after.detach())
    if isinstance(before, list):
        return len(before) == len(after) and all(map(same, before, after))
    return before == after


def shown(value) -> str:
    """Return a value for a message: dtype, shape, and the numbers of a small tensor."""
    if isinstance(value, (list, tuple)) and any(isinstance(x, torch.Tensor) for x in value):
        return "\n".join(shown(part) for part in value)
    if not isinstance(value, torch.Tensor):
        text = repr(value)
        return text if len(text) <= 200 else text[:200] + " …"
    dtype = f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if value.numel() > 30:
        return dtype
    numbers = value.detach().cpu().numpy()
    text = np.array2string(numbers, precision=5, suppress_small=True, max_line_width=88)
    return text if value.ndim == 0 else f"{dtype}\n{text}"
