"""How the course's data files are described and read: strictly, with errors that name the place."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
ChapterNumber = Annotated[str, StringConstraints(pattern=r"^\d\d$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Part(BaseModel):
    """A part of a data file: no field but those described, no guessing at types, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Model = TypeVar("Model", bound=BaseModel)


def read(model: type[Model], path: str | Path) -> Model:
    """Read a JSON file as ``model``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: what does not fit; one line for each place, as in ``02.json: questions[3].why``.
    """
    path = Path(path)
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        lines = [f"{path.name}: {_place(e['loc'])}{e['msg']}" for e in error.errors()]
        # The chain would repeat every line in another format.
        raise ValueError("\n".join(lines)) from None


def _place(location: tuple) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return f"{place.removeprefix('.')}: " if place else ""
