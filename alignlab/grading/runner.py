"""The side that is not trusted: runs the cells of a submission and calls its functions.

Everything here can be changed by the submission, so nothing here decides anything.
"""

import socket
import traceback
from collections.abc import Callable

import torch
from IPython.core.interactiveshell import InteractiveShell

from alignlab.grading import values, wire


class _Shell(InteractiveShell):
    """IPython's notion of a cell (magics, ``!``, top-level ``await``), without a terminal."""

    def init_history(self) -> None:
        """Keep no history, which would be a database and a thread."""
        self.config.HistoryManager.enabled = False
        super().init_history()

    def enable_gui(self, gui=None) -> None:
        """Take ``%matplotlib inline`` without a word; nothing is shown."""

    def showtraceback(self, *args, **kwargs) -> None:
        """Format nothing: an error is reported by its name and text."""

    showsyntaxerror = showindentationerror = showtraceback


class Runner:
    """A submission's names, and what its calls leave behind until they are forgotten."""

    def __init__(self) -> None:
        """Begin with an empty notebook."""
        self.shell = _Shell.instance()
        self.functions: list[Callable] = []
        self.graphs: dict[int, tuple[list, list]] = {}

    def run(self, header: dict, body: bytearray) -> tuple[dict, bytes]:
        """Run one cell; an error is no reason to stop, as in a notebook that is run on."""
        outcome = self.shell.run_cell(header["source"], silent=True)
        error = outcome.error_before_exec or outcome.error_in_exec
        return {"failed": error and [type(error).__name__, _text(error)]}, b""

    def get(self, header: dict, body: bytearray) -> tuple[dict, bytes]:
        """Return the value of a name."""
        names = self.shell.user_ns
        if header["name"] not in names:
            return {"missing": True}, b""
        encoder = values.Encoder(self.functions)
        return self._reply(encoder, {"value": encoder.encode(names[header["name"]])})

    def call(self, header: dict, body: bytearray) -> tuple[dict, bytes]:
        """Call a function; return its result, and the arguments as far as it has changed them."""
        (args, kwargs, state), tensors = values.unpack_arguments(header, body)
        before = [wire.tensor_bytes(tensor) for tensor in tensors]
        shown = values.Encoder([]).encode([args, kwargs])
        torch.set_rng_state(state)
        with torch.set_grad_enabled(header["enabled"]):
            value = self.functions[header["function"]](*args, **kwargs)
        encoder = values.Encoder(self.functions)
        reply = {"value": encoder.encode(value)}
        self.graphs[header["number"]] = tensors, list(encoder.tensors)
        changed = [n for n, old in enumerate(before) if wire.tensor_bytes(tensors[n]) != old]
        reply["changed"] = [[n, encoder.encode(tensors[n])] for n in changed]
        if values.Encoder([]).encode([args, kwargs]) != shown:
            reply["arguments"] = encoder.encode([args, kwargs])
        return self._reply(encoder, reply)

    def backward(self, header: dict, body: bytearray) -> tuple[dict, bytes]:
        """Return the vector-Jacobian product of an earlier call, None where nothing depends."""
        inputs, outputs = self.graphs[header["call"]]
        given = wire.unpack_tensors(header["tensors"], body)
        gradients = torch.autograd.grad(
            [outputs[n] for n in header["outputs"]], [inputs[n] for n in header["inputs"]],
            given, retain_graph=True, allow_unused=True,
        )  # fmt: skip
        encoder = values.Encoder([])
        return self._reply(encoder, {"value": encoder.encode(list(gradients))})

    def forget(self, header: dict, body: bytearray) -> tuple[dict, bytes]:
        """Free the graphs of earlier calls."""
        self.graphs.clear()
        return {}, b""

    def _reply(self, encoder: values.Encoder, reply: dict) -> tuple[dict, bytes]:
        rows, body = wire.pack_tensors(encoder.tensors)
        return reply | {"tensors": rows}, body


def _text(error: BaseException) -> str:
    """Return an error's text, and the line of the notebook that it came from."""
    if isinstance(error, SyntaxError):
        return f"{error.msg} (line {error.lineno}: {(error.text or '').strip()})"
    frames = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in frames if frame.filename.startswith("<ipython-input")]
    text = str(error)
    return f"{text} (line {frames[-1].lineno}: {frames[-1].line})" if frames else text


def serve(channel: socket.socket) -> None:
    """Answer requests until the channel closes."""
    torch.set_num_threads(1)
    runner = Runner()
    actions = {
        "run": runner.run, "get": runner.get, "call": runner.call, "backward": runner.backward,
        "forget": runner.forget,
    }  # fmt: skip
    while True:
        header, body = wire.receive(channel)
        try:
            reply, body = actions[header["do"]](header, body)
        except BaseException as error:
            reply, body = {"error": [type(error).__name__, _text(error)]}, b""
        wire.send(channel, reply | {"number": header["number"]}, body)
