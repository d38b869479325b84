"""Text files that appear whole or not at all."""

import os
from pathlib import Path


def write_whole(path: str | Path, text: str) -> Path:
    """Write a text file in UTF-8, in the place of one that is there; return its path.

    A kill or a full disk at any moment leaves what was there before.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        # Half a surrogate pair, which JSON can hold and UTF-8 cannot, must not cost the file.
        part.write_bytes(text.encode(errors="replace"))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path
