"""The trusted side's view of a submission: a runner to ask, and stand-ins for its functions."""

import pickle
import random
import time
from collections.abc import Callable

import torch

from alignlab.grading import runner, sandbox, values, wire

POLL = 0.2
# An error of an answer arrives as the same built-in, since a check may wait for it. Not those that
# mean something to a running loop or generator, which could end a check early.
_ERRORS = {
    kind.__name__: kind
    for kind in (
        AssertionError, AttributeError, IndexError, KeyError, NotImplementedError, OverflowError,
        RuntimeError, TypeError, ValueError, ZeroDivisionError,
    )
}  # fmt: skip
_LEAVING = ("GeneratorExit", "KeyboardInterrupt", "SystemExit")


class CouldNotRun(BaseException):
    """A submission that cannot answer; no Exception, so that no check takes it for an answer."""


class Answers:
    """The names of one submission, in a runner that is started anew when it was lost."""

    def __init__(self, cells: list[dict], level: str, limits: sandbox.Limits, **where) -> None:
        """Begin without a process.

        Args:
            cells: code cells in order, each ``{"id": grade_id or None, "source": text}``.
            level: of ``sandbox.LEVELS``.
            limits: of one cell or one check, and of all.
            where: ``scratch`` and ``hidden`` of ``sandbox.start``.
        """
        self.cells, self.level, self.limits, self.where = cells, level, limits, where
        self.failed: dict[int, str] = {}
        self.fatal: dict[int, str] = {}
        self.pid, self.channel, self.number = 0, None, 0
        # Seconds: by the clock at the last look, of processor time then, of this step, of all.
        self.watched = self.seconds = self.busy = self.idle = self.spent = 0.0

    def begin(self) -> None:
        """Begin a check, with a runner that has run every cell but those that ended one.

        Raises:
            CouldNotRun: no time is left.
        """
        while self.channel is None:
            self._start()
        self._step()
        self._ask({"do": "forget"})

    def _start(self) -> None:
        self.loaded = sandbox.resident()
        self.watched, self.seconds = time.monotonic(), 0.0
        self.pid, self.channel = sandbox.start(
            runner.serve, self.level, self.limits.memory, **self.where
        )
        for number, cell in enumerate(self.cells):
            if number in self.fatal:
                continue
            self._step()
            try:
                failed = self._ask({"do": "run", "source": cell["source"]})[0]["failed"]
                self.failed[number] = f"stopped with {failed[0]}: {failed[1]}" if failed else ""
            except CouldNotRun as error:
                self.fatal[number] = str(error)
                return
            except (KeyError, TypeError, IndexError):
                self._lose("sent a broken reply")

    def _step(self) -> None:
        self._measure()
        self.busy = self.idle = 0.0
        if self.spent > self.limits.whole:
            self._lose(f"took more than {self.limits.whole:g} s for the whole notebook")

    def _measure(self) -> sandbox.Usage:
        passed, used = time.monotonic() - self.watched, sandbox.usage(self.pid)
        # At most so much each time: this process may have waited for a core itself.
        idle, busy = 0.0 if used.busy else min(passed, 2 * POLL), used.seconds - self.seconds
        self.watched, self.seconds = self.watched + passed, used.seconds
        self.busy, self.idle = self.busy + busy, self.idle + idle
        self.spent += busy + idle
        return used

    def _watch(self) -> None:
        if time.monotonic() < self.watched + POLL / 2:
            return
        # At odd moments, so that no submission can know when to look busy.
        self.channel.settimeout(random.uniform(POLL / 2, 3 * POLL / 2))
        pids, limits = self._measure().pids, self.limits
        if self.busy > limits.seconds:
            self._lose(f"took more than {limits.seconds:g} s of processor time")
        if self.idle > limits.idle:
            self._lose(f"slept or waited for more than {limits.idle:g} s")
        if len(pids) > limits.processes:
            self._lose(f"started more than {limits.processes} processes")
        # One process (and the one that waits for it) has its limit from the kernel.
        if len(pids) > 2 and sandbox.memory(pids) - self.loaded > limits.memory:
            self._lose(f"took more than {limits.memory / 2**30:.1f} GiB of memory")

    def _lose(self, reason: str) -> None:
        if self.channel:
            self.channel.close()
        self.channel = None
        sandbox.stop_children()
        raise CouldNotRun(reason)

    def _ask(self, header: dict, body: bytes = b"") -> tuple[dict, bytearray]:
        if self.channel is None:
            raise CouldNotRun("its process has ended")
        self.number += 1
        try:
            self.channel.settimeout(self.limits.idle)
            wire.send(self.channel, header | {"number": self.number}, body)
            self.channel.settimeout(POLL)
            reply, body = wire.receive(self.channel, self._watch)
        except wire.WireError as error:
            self._lose(str(error))
        except OSError:
            self._lose(wire.CLOSED)
        if reply.get("number") != self.number:
            self._lose("sent a reply that nothing had asked for")
        if "error" in reply:
            self._raise(reply["error"])
        return reply, body

    def _raise(self, error) -> None:
        if not isinstance(error, list) or [type(part) for part in error] != [str, str]:
            self._lose("sent a broken error")
        name, text = error
        if name in _LEAVING:
            raise CouldNotRun(f"left with {name} instead of returning")
        if name == "MemoryError":
            limit = self.limits.memory / 2**30
            raise CouldNotRun(f"ran out of memory; the limit is {limit:.1f} GiB")
        if name not in _ERRORS:
            kind = type(name, (RuntimeError,), {}) if name.isidentifier() else RuntimeError
            raise kind(text)
        raise _ERRORS[name](text)

    def _read(self, reply: dict, body: bytearray, link: Callable | None = None):
        """Return the value in a reply, and a reader of the other values in it."""
        try:
            tensors = wire.unpack_tensors(reply["tensors"], body)
            if link:
                tensors = link(tensors, [bool(row["grad"]) for row in reply["tensors"]])

            def read(tree):
                return values.decode(tree, tensors, self._stand_in)

            return read(reply["value"]), read
        except (wire.WireError, KeyError, TypeError) as error:
            self._lose(f"sent a broken value ({error})")

    def get(self, name: str, cell: str):
        """Return the value of a name: plain data, or a stand-in for a function.

        Args:
            name: as the submission was to define it.
            cell: the grade_id of the cell that was to define it.

        Raises:
            CouldNotRun: it is not defined; says why as far as that is known.
        """
        reply, body = self._ask({"do": "get", "name": name})
        if "missing" not in reply:
            value = self._read(reply, body)[0]
            if isinstance(value, _StandIn):
                value.__name__ = name
            return value
        numbers = [number for number, found in enumerate(self.cells) if found["id"] == cell]
        reasons = [self.fatal.get(number) or self.failed.get(number) for number in numbers]
        reason = next(filter(None, reasons), "does not define it") if numbers else "is missing"
        raise CouldNotRun(f"{name} is not defined: the answer cell {cell!r} {reason}")

    def _stand_in(self, index: int) -> "_StandIn":
        return _StandIn(self, index)

    def call(self, index: int, args: tuple, kwargs: dict):
        """Call a function of the submission; arguments that it changes are changed here too.

        Raises:
            Exception: what the function raised, as the built-in of that name, or else as a
                RuntimeError of that name.
            CouldNotRun: it did not come to an end.
        """
        state, enabled = torch.get_rng_state(), torch.is_grad_enabled()
        torch.rand(1)  # the next call is to draw other numbers, as it would in one process
        arguments = (list(args), kwargs, state)
        try:
            header, body, inputs = values.pack_arguments(arguments)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise CouldNotRun(f"the check passes what cannot be sent: {error}") from error
        header |= {"do": "call", "function": index, "enabled": enabled}
        reply, body = self._ask(header, body)
        number = self.number

        def link(tensors: list[torch.Tensor], depends: list[bool]) -> tuple[torch.Tensor, ...]:
            tied = enabled and any(depends) and any(tensor.requires_grad for tensor in inputs)
            if not tied:
                return tuple(tensors)
            return values.Link.apply(self.backward, number, tensors, depends, *inputs)

        value, read = self._read(reply, body, link)
        try:
            for place, tree in reply["changed"]:
                values.overwrite(inputs[place], read(tree))
            if "arguments" in reply:
                values.replace(list(arguments[:2]), read(reply["arguments"]))
        except (wire.WireError, LookupError, AttributeError, TypeError, ValueError) as error:
            self._lose(f"sent broken arguments ({error})")
        return value

    def backward(self, call: int, outputs: list[int], inputs: list[int], gradients) -> list:
        """Return the vector-Jacobian product of an earlier call for some of its inputs."""
        rows, body = wire.pack_tensors(gradients)
        header = {"do": "backward", "call": call, "outputs": outputs, "inputs": inputs}
        return self._read(*self._ask(header | {"tensors": rows}, body))[0]


class _StandIn:
    """A function of the submission, as a check sees it."""

    def __init__(self, answers: Answers, index: int) -> None:
        self._answers, self._index = answers, index

    def __call__(self, *args, **kwargs):
        return self._answers.call(self._index, args, kwargs)
