"""concepts.py: the map has every concept of the course, no cycle, and says what is unwritten."""

import json
import re
from pathlib import Path

import pytest

from alignlab import concepts, quiz
from alignlab.concepts import CONCEPTS, ConceptMap, edges, load, passages, places

ROOT = Path(__file__).resolve().parents[1]

# The concepts that the course has to cover, in the order in which its plan names them.
COURSE = (
    "sft-as-post-training", "sft-data-definition", "sft-data-characteristics",
    "sft-versus-pretraining-data", "sft-data-size", "sft-applicability", "question-answering",
    "new-task-adaptation", "instruction-fine-tuning", "maximum-likelihood",
    "generalization-from-sft", "generalization-as-outcome", "practical-challenges",
    "undesirable-content", "instruction-alignment", "reward-model-alignment",
    "differing-motivations", "surrogate-objectives", "combined-use",
    "preferences-for-generalization", "stage-responsibility", "chatbot-strategy",
    "preference-tuning", "clarity-and-friendliness", "dpo", "no-reward-model", "rlhf",
    "training-cost", "preference-data-quality", "preference-data-bias",
)  # fmt: skip
# What the course adds to them.
ADDED = (
    "loss-masking", "likelihood-and-kl", "entropy-floor", "over-fitting", "lora", "bradley-terry",
    "reward-over-optimization", "beta-and-reference", "dpo-failures",
)  # fmt: skip

COURSE_MAP = load()


def ancestors(name):
    """Return everything to learn before a concept, near and far."""
    before = COURSE_MAP.by_id[name].learn_before
    return set(before).union(*(ancestors(other) for other in before))


# --- the map of the course -----------------------------------------------------------------------


def test_the_map_has_every_concept_of_the_course():
    assert len(COURSE) == 30
    assert sorted(COURSE_MAP.by_id) == sorted([*COURSE, *ADDED])


def test_every_chapter_has_concepts_and_its_number():
    assert [chapter.number for chapter in COURSE_MAP.chapters] == [f"{n:02}" for n in range(1, 8)]
    assert all(COURSE_MAP.of_chapter(chapter.number) for chapter in COURSE_MAP.chapters)


def test_everything_is_reached_from_one_beginning():
    starts = [c.id for c in COURSE_MAP.concepts if not c.learn_before]
    assert starts == ["sft-as-post-training"]


def test_no_concept_is_learned_before_itself():
    for name in COURSE_MAP.by_id:
        assert name not in ancestors(name)


def test_an_arrow_says_what_no_other_arrows_say():
    said_twice = [
        (before, concept.id)
        for concept in COURSE_MAP.concepts
        for before in concept.learn_before
        if any(before in ancestors(o) for o in concept.learn_before if o != before)
    ]
    assert said_twice == []


def test_learn_after_is_learn_before_turned_round():
    both = [(name, after) for name in COURSE_MAP.by_id for after in COURSE_MAP.learn_after(name)]
    assert sorted(both) == sorted(edges(COURSE_MAP))
    assert COURSE_MAP.learn_after("rlhf") == ["training-cost", "reward-over-optimization", "dpo"]


@pytest.mark.parametrize("concept", COURSE_MAP.concepts, ids=lambda c: c.id)
def test_a_definition_is_one_sentence(concept):
    assert re.fullmatch(r"[^\W\da-z].*[^.]\.", concept.definition)
    assert not re.search(r"[.?!] ", concept.definition)


# --- quizzes and exercises -----------------------------------------------------------------------


@pytest.mark.parametrize("chapter", COURSE_MAP.chapters, ids=lambda c: c.number)
def test_a_chapter_says_whether_it_has_a_quiz(chapter):
    assert chapter.quiz_written == (quiz.QUIZZES / f"{chapter.number}.json").exists()
    if not chapter.quiz_written:
        assert [c.id for c in COURSE_MAP.of_chapter(chapter.number) if c.quiz] == []


@pytest.mark.parametrize("chapter", [c for c in COURSE_MAP.chapters if c.quiz_written])
def test_a_quiz_asks_for_every_concept_of_its_chapter(chapter):
    questions = {question.id for question in quiz.load(chapter.number).questions}
    nodes = COURSE_MAP.of_chapter(chapter.number)
    assert [c.id for c in nodes if not c.quiz] == []
    assert {name for c in nodes for name in c.quiz} == questions
    assert all(COURSE_MAP.of_question(name) for name in questions)


@pytest.mark.parametrize("chapter", COURSE_MAP.chapters, ids=lambda c: c.number)
def test_a_chapter_says_whether_it_has_exercises(chapter):
    files = list(ROOT.glob(f"solutions/{chapter.number}_*.py"))
    assert chapter.exercises_written == bool(files), "set exercises_written and name the exercises"
    named = {name for c in COURSE_MAP.of_chapter(chapter.number) for name in c.exercises}
    assert bool(named) == bool(files)
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    assert sorted(name for name in named if name not in text) == []


# --- files that are not a whole map --------------------------------------------------------------


def changed(change):
    content = json.loads(CONCEPTS.read_text(encoding="utf-8"))
    change(content, {concept["id"]: concept for concept in content["concepts"]})
    return content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, at: at["dpo"]["learn_before"].append("ppo"), "dpo: learn_before names ppo"),
        (lambda c, at: at["rlhf"]["learn_before"].append("dpo"), "rlhf: dpo belongs to a later"),
        (
            lambda c, at: at["maximum-likelihood"]["learn_before"].append("entropy-floor"),
            "a cycle: .*entropy-floor",
        ),
        (lambda c, at: at["dpo"]["learn_before"].append("dpo"), "a cycle: dpo → dpo"),
        (lambda c, at: at["dpo"].update(chapter="08"), "dpo: no chapter 08"),
        (lambda c, at: c["concepts"].append(at["dpo"]), "used twice"),
        (lambda c, at: c["chapters"].append(c["chapters"][0]), "used twice"),
        (lambda c, at: at["dpo"].pop("definition"), r"concepts\[\d+\].definition: Field required"),
        (lambda c, at: at["dpo"].update(title=" "), r"concepts\[\d+\].title"),
    ],
)
def test_a_file_that_is_no_whole_map_is_refused(tmp_path, change, message):
    path = tmp_path / "map.json"
    path.write_text(json.dumps(changed(change)), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith("map.json: ")


# --- layout --------------------------------------------------------------------------------------


def test_columns_are_chapters_and_no_two_concepts_share_a_place():
    at = places(COURSE_MAP)
    assert len(set(at.values())) == len(COURSE_MAP.concepts)
    assert {name: int(c.chapter) - 1 for name, c in COURSE_MAP.by_id.items()} == {
        name: column for name, (column, _) in at.items()
    }
    for before, after in edges(COURSE_MAP):
        assert at[before][0] < at[after][0] or at[before][1] < at[after][1], "drawn upwards"


def test_arrows_pass_between_the_boxes():
    boxes = [(0, 0), (1, 0), (1, 1), (2, 0), (3, 0), (3, 1), (3, 2)]
    assert passages((0, 0), (1, 1), boxes) == []
    # The line is at 2/3 in column 1, and from the gap at 0.5 there at 1.25 in column 2.
    assert passages((0, 0), (3, 2), boxes) == [(1, 0.5), (2, 0.5)]
    assert passages((1, 1), (3, 2), boxes) == [(2, 0.5)]
    assert passages((1, 0), (3, 0), boxes) == [(2, -0.5)]


def test_nothing_of_the_file_is_lost():
    content = json.loads(CONCEPTS.read_text(encoding="utf-8"))
    assert ConceptMap.model_validate(content).model_dump() == content
    assert concepts.load() == COURSE_MAP
