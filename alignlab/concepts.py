"""The concepts of the course: who explains each, what to learn before it, what it leads to.

``concepts.json`` is the map: the concepts of seven chapters, in the order in which they are drawn.
A chapter says whether its quiz and its exercises are written; while they are not, the lists of
question and exercise ids of its concepts are empty.
"""

from collections.abc import Sequence
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from pydantic import model_validator

from alignlab.schema import ChapterNumber, Identifier, Part, Text, read

CONCEPTS = Path(__file__).with_name("concepts.json")

Point = tuple[int, float]  # column and row


class Chapter(Part):
    """A chapter, and what of its practice is written."""

    number: ChapterNumber
    title: Text
    quiz_written: bool
    exercises_written: bool


class Concept(Part):
    """A node of the map: what it is, in one sentence, and the chapter that explains it."""

    id: Identifier
    title: Text
    definition: Text
    chapter: ChapterNumber
    learn_before: list[Identifier]  # the concepts that this one stands on directly
    quiz: list[Identifier]  # ids of questions
    exercises: list[str]  # ids of exercises


class ConceptMap(Part):
    """The chapters and their concepts, free of cycles and of edges to nowhere.

    Raises:
        ValueError: an id used twice, an unknown chapter or concept, a cycle, a concept that stands
            on one of a later chapter.
    """

    chapters: list[Chapter]
    concepts: list[Concept]

    @model_validator(mode="after")
    def _whole(self):
        numbers = [chapter.number for chapter in self.chapters]
        if len(set(numbers)) < len(numbers) or len(self.by_id) < len(self.concepts):
            raise ValueError("a chapter number or a concept id is used twice")
        for concept in self.concepts:
            if concept.chapter not in numbers:
                raise ValueError(f"{concept.id}: no chapter {concept.chapter}")
            for name in concept.learn_before:
                if name not in self.by_id:
                    raise ValueError(f"{concept.id}: learn_before names {name}, which is not here")
                if self.by_id[name].chapter > concept.chapter:
                    raise ValueError(f"{concept.id}: {name} belongs to a later chapter")
        try:
            TopologicalSorter({c.id: c.learn_before for c in self.concepts}).prepare()
        except CycleError as error:
            raise ValueError(f"a cycle: {' → '.join(error.args[1])}") from error
        return self

    @cached_property
    def by_id(self) -> dict[str, Concept]:
        """Return the concepts by id."""
        return {concept.id: concept for concept in self.concepts}

    def learn_after(self, concept_id: str) -> list[str]:
        """Return the ids of the concepts that stand directly on this one."""
        return [c.id for c in self.concepts if concept_id in c.learn_before]

    def of_chapter(self, number: str) -> list[Concept]:
        """Return the concepts that a chapter explains."""
        return [concept for concept in self.concepts if concept.chapter == number]

    def of_question(self, question_id: str) -> list[Concept]:
        """Return the concepts that a question is about."""
        return [concept for concept in self.concepts if question_id in concept.quiz]


def load(path: str | Path = CONCEPTS) -> ConceptMap:
    """Read the map.

    Raises:
        ValueError: a file that is not a whole map, naming the place.
    """
    return read(ConceptMap, path)


def places(concepts: ConceptMap) -> dict[str, Point]:
    """Return where each concept is drawn: its chapter's column, and its row, counted downwards."""
    return {
        concept.id: (column, row)
        for column, chapter in enumerate(concepts.chapters)
        for row, concept in enumerate(concepts.of_chapter(chapter.number))
    }


def edges(concepts: ConceptMap) -> list[tuple[str, str]]:
    """Return every edge as (learn before, learn after)."""
    return [(name, concept.id) for concept in concepts.concepts for name in concept.learn_before]


def passages(start: Point, end: Point, positions: Sequence[Point]) -> list[Point]:
    """Return between which rows an edge passes the columns that lie between its ends.

    In each column this is the gap between (or beyond) the boxes at ``positions`` that is nearest to
    the straight line from the last passage to the end.
    """
    points, here = [], start
    for column in range(start[0] + 1, end[0]):
        gaps = [-0.5, *(row + 0.5 for other, row in positions if other == column)]
        line = here[1] + (end[1] - here[1]) / (end[0] - here[0])
        here = (column, min(gaps, key=lambda gap, line=line: abs(gap - line)))
        points.append(here)
    return points
