"""Values that cross between checker and runner.

Arguments go to the runner as a pickle, since the checker is trusted. Nothing that the runner sends
is unpickled: from its JSON only plain data and stand-ins are built, and nothing in it names code.
"""

import io
import pickle
from collections.abc import Callable

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from alignlab.grading.wire import DTYPES, WireError, pack_tensors, unpack_tensors


class _ArgumentsPickler(pickle.Pickler):
    """Puts the tensors aside, also those within a module; one that occurs twice stays one."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.tensors: list[torch.Tensor] = []
        self.index: dict[int, int] = {}

    def persistent_id(self, obj):
        if not isinstance(obj, torch.Tensor):
            return None
        if id(obj) not in self.index:
            self.index[id(obj)] = len(self.tensors)
            self.tensors.append(obj)
        return self.index[id(obj)]


def pack_arguments(arguments: tuple[tuple, dict]) -> tuple[dict, bytes, list[torch.Tensor]]:
    """Return header, body and tensors of a call's positional and named arguments.

    Raises:
        pickle.PicklingError, AttributeError, TypeError: an argument that cannot be sent.
    """
    file = io.BytesIO()
    pickler = _ArgumentsPickler(file)
    pickler.dump(arguments)
    rows, body = pack_tensors(pickler.tensors)
    return {"pickle": file.tell(), "tensors": rows}, file.getvalue() + body, pickler.tensors


def unpack_arguments(header: dict, body: bytearray) -> tuple[tuple, list[torch.Tensor]]:
    """Return the arguments and the tensors in them. Only for messages from the checker."""
    size, rows = header["pickle"], header["tensors"]
    tensors = unpack_tensors(rows, body[size:])
    for number, row in enumerate(rows):
        if row["parameter"]:
            tensors[number] = torch.nn.Parameter(tensors[number], row["grad"])
        elif row["grad"]:
            tensors[number].requires_grad_()
    unpickler = pickle.Unpickler(io.BytesIO(body[:size]))
    unpickler.persistent_load = tensors.__getitem__
    return unpickler.load(), tensors


class Encoder:
    """Turns a value into JSON; tensors and functions are collected and replaced by their index."""

    def __init__(self, functions: list[Callable]) -> None:
        """Begin without tensors; functions are added to the list that is given."""
        self.tensors: list[torch.Tensor] = []
        self.functions = functions

    def encode(self, value):
        """Return JSON for a value; of an object that is no data, only the name of its class."""
        if value is None or isinstance(value, (bool, str)):
            return value if value is None or isinstance(value, bool) else str.__str__(value)
        if isinstance(value, int):
            return int.__int__(value)
        if isinstance(value, float) and not isinstance(value, np.generic):
            return float.__float__(value)
        if isinstance(value, (list, tuple)):
            kind = "list" if isinstance(value, list) else "tuple"
            return {"is": kind, "items": [self.encode(item) for item in value]}
        if isinstance(value, dict):
            pairs = [[self.encode(key), self.encode(item)] for key, item in value.items()]
            return {"is": "dict", "items": pairs}
        if isinstance(value, (np.ndarray, np.generic)) and str(value.dtype) in DTYPES:
            self.tensors.append(torch.from_numpy(np.array(value)))
            kind = "array" if isinstance(value, np.ndarray) else "scalar"
            return {"is": kind, "index": len(self.tensors) - 1}
        if (
            isinstance(value, torch.Tensor)
            and value.layout == torch.strided
            and (str(value.dtype).removeprefix("torch.") in DTYPES)
        ):
            self.tensors.append(value)
            return {"is": "tensor", "index": len(self.tensors) - 1}
        if callable(value):
            self.functions.append(value)
            return {"is": "function", "index": len(self.functions) - 1}
        return {"is": "object", "class": type(value).__name__}


def decode(tree, tensors: list[torch.Tensor], function: Callable[[int], Callable]):
    """Return the value that ``Encoder.encode`` was given.

    Args:
        tree: the JSON.
        tensors: those that it names by index.
        function: makes the stand-in for the function of an index.

    Raises:
        WireError: no such JSON comes from an ``Encoder``.
    """
    try:
        return _decode(tree, tensors, function)
    except (KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise WireError("sent a broken value") from error


def _decode(tree, tensors, function):
    if not isinstance(tree, dict):
        if isinstance(tree, list):
            raise WireError("sent a broken value")
        return tree
    if tree["is"] in ("list", "tuple"):
        items = [_decode(item, tensors, function) for item in tree["items"]]
        return items if tree["is"] == "list" else tuple(items)
    if tree["is"] == "dict":
        pairs = ([_decode(part, tensors, function) for part in pair] for pair in tree["items"])
        return dict(pairs)
    if tree["is"] == "object":
        # No method of this class is the submission's: it equals itself only.
        return type(str(tree["class"])[:80], (), {})()
    index = tree["index"]
    if type(index) is not int or index < 0:
        raise WireError("sent a broken value")
    if tree["is"] == "function":
        return function(index)
    if tree["is"] == "tensor":
        return tensors[index]
    array = tensors[index].detach().numpy()
    return array if tree["is"] == "array" else array[()]


def overwrite(tensor: torch.Tensor, new) -> None:
    """Let a check see that an answer has changed a tensor in place."""
    with torch.no_grad():
        if new.shape == tensor.shape:
            tensor.copy_(new)
        else:
            tensor.data = new.to(tensor.dtype)


def replace(old, new) -> None:
    """Let a check see that an answer has changed a list or a dictionary in place.

    Args:
        old: an argument.
        new: what has become of it. What is no plain data in it is left alone.

    Raises:
        TypeError: a tuple would have changed.
    """
    both = (type(old), type(new))
    if both == (dict, dict):
        if list(old) != list(new):
            old.clear()
            old.update(new)
        places = list(old)
    elif both in ((list, list), (tuple, tuple)):
        if len(old) != len(new):
            old[:] = new
        places = range(len(old))
    else:
        return
    for place in places:
        if type(old[place]) in (dict, list, tuple):
            replace(old[place], new[place])
        elif _changed(old[place], new[place]):
            old[place] = new[place]


def _changed(old, new) -> bool:
    if isinstance(old, torch.Tensor):
        return not (isinstance(new, torch.Tensor) and torch.equal(old, new))
    return isinstance(old, (bool, int, float, str)) and (type(old), old) != (type(new), new)


class Link(torch.autograd.Function):
    """Ties the results of a call to its arguments; the runner differentiates.

    Applied to the function that asks the runner (``Answers.backward``), the number of the call, its
    tensors, which of these depend on the arguments, and the tensors among the arguments.
    """

    @staticmethod
    def forward(ctx, ask, call, tensors, depends, *inputs):
        pairs = list(zip(tensors, depends))
        ctx.outputs = [n for n, (t, yes) in enumerate(pairs) if yes and t.is_floating_point()]
        ctx.mark_non_differentiable(
            *[tensor for n, tensor in enumerate(tensors) if n not in ctx.outputs]
        )
        ctx.ask, ctx.call = ask, call
        return tuple(tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients):
        wanted = [n for n, need in enumerate(ctx.needs_input_grad[4:]) if need]
        given = [gradients[n] for n in ctx.outputs]
        found = ctx.ask(ctx.call, ctx.outputs, wanted, given)
        result = [None] * len(ctx.needs_input_grad)
        for n, gradient in zip(wanted, found):
            result[4 + n] = gradient
        return tuple(result)
