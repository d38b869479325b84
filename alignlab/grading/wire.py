"""Messages between checker and runner: a JSON header, and the bytes of the tensors behind it.

Every size in a message is checked before it is believed.
"""

import json
import math
import socket
import struct
from collections.abc import Callable

import torch

MAX_HEADER = 16 << 20
MAX_BYTES = 256 << 20
CLOSED = "ended its process before it had answered"
_SIZES = struct.Struct("<QQ")
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
        torch.int16, torch.int8, torch.uint8, torch.bool,
    )
}  # fmt: skip


class WireError(Exception):
    """A message that is broken, too large, or from a closed channel."""


def send(channel: socket.socket, header: dict, body: bytes = b"") -> None:
    """Send one message."""
    text = json.dumps(header).encode()
    channel.sendall(_SIZES.pack(len(text), len(body)) + text + body)


def receive(
    channel: socket.socket, wait: Callable[[], None] | None = None
) -> tuple[dict, bytearray]:
    """Return the header and the body of the next message.

    Args:
        channel: with a timeout when ``wait`` is given.
        wait: called after each part and each timeout, so also in the middle of a message that comes
            in drops; it ends the waiting by raising.

    Raises:
        WireError: closed, too large, or no JSON object.
    """
    sizes = _SIZES.unpack(_exactly(channel, _SIZES.size, wait))
    if sizes[0] > MAX_HEADER or sizes[1] > MAX_BYTES:
        raise WireError(f"sent {sum(sizes) / 2**20:.0f} MiB, which is too much")
    text, body = _exactly(channel, sizes[0], wait), _exactly(channel, sizes[1], wait)
    try:
        header = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise WireError("sent a broken message") from error
    if not isinstance(header, dict):
        raise WireError("sent a broken message")
    return header, body


def _exactly(channel: socket.socket, count: int, wait) -> bytearray:
    data = bytearray()
    while len(data) < count:
        part = None
        try:
            part = channel.recv(min(count - len(data), 1 << 20))
        except TimeoutError:
            pass
        except OSError as error:
            raise WireError(CLOSED) from error
        if part == b"":
            raise WireError(CLOSED)
        data += part or b""
        if wait:
            wait()
    return data


def tensor_bytes(tensor: torch.Tensor) -> bytes:
    """Return the elements of a tensor, in row-major order."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


def pack_tensors(tensors: list[torch.Tensor]) -> tuple[list[dict], bytes]:
    """Return what the header says of each tensor, and the body that holds them all."""
    return [
        {
            "dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape),
            "grad": tensor.requires_grad, "parameter": isinstance(tensor, torch.nn.Parameter),
        }
        for tensor in tensors
    ], b"".join(map(tensor_bytes, tensors))  # fmt: skip


def unpack_tensors(rows: list[dict], body: bytearray) -> list[torch.Tensor]:
    """Return the tensors of a message as leaves without gradient.

    Raises:
        WireError: unknown dtype, or shapes that do not fill the body exactly.
    """
    tensors, start = [], 0
    try:
        for row in rows:
            dtype, shape = DTYPES[row["dtype"]], row["shape"]
            if not all(type(size) is int and size >= 0 for size in shape):
                raise WireError("sent a tensor of an impossible shape")
            end = start + math.prod(shape) * dtype.itemsize
            if end > len(body):
                raise WireError("sent a tensor without its elements")
            # A byte that is neither 0 nor 1 is no bool: what it equals is undefined.
            kind = torch.uint8 if dtype == torch.bool else dtype
            flat = torch.frombuffer(body[start:end] or bytearray(8), dtype=kind)
            flat = flat[: math.prod(shape)].to(dtype)
            tensors.append(flat.reshape(shape).clone())
            start = end
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WireError("sent a broken tensor") from error
    if start != len(body):
        raise WireError("sent bytes that belong to no tensor")
    return tensors
