"""Reading files and Hub data sets: every kind gives the same rows, every error says where."""

import csv
import gzip
import io
import json

import datasets
import pytest

from alignlab import data, files
from alignlab.files import DataError, file_rows, line_rows, located_rows, read_rows


@pytest.fixture
def write(tmp_path):
    """Write rows (as JSON Lines), text or bytes to a file and return its path."""

    def write(content, name="rows.jsonl"):
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        content = content.encode() if isinstance(content, str) else content
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


ROWS = [
    {"instruction": "Add 2 and 3, please.", "input": "", "output": 'It is "5",\nsurely.'},
    {"instruction": "Say café in\u2028French.", "input": "null", "output": "007"},
]


def as_csv(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_parquet(rows):
    out = io.BytesIO()
    datasets.Dataset.from_list(rows).to_parquet(out)
    return out.getvalue()


ENCODINGS = {
    "json": lambda rows: json.dumps(rows, indent=1).encode(),
    "jsonl": lambda rows: "\n\n".join(json.dumps(r, ensure_ascii=False) for r in rows).encode(),
    "csv": as_csv,
    "parquet": as_parquet,
}


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("kind", ENCODINGS)
def test_every_kind_of_file_gives_the_same_rows(kind, suffix, write):
    # U+2028, line breaks in cells, "null" and "007" as text: what careless readers change.
    assert read_rows(write(ENCODINGS[kind](ROWS), f"rows.{kind}{suffix}")) == ROWS


def test_byte_order_mark_and_windows_line_ends(write):
    assert read_rows(write(b'\xef\xbb\xbf{"a": "1"}\r\n{"a": "2"}\r\n')) == [{"a": "1"}, {"a": "2"}]
    assert read_rows(write(b"\xef\xbb\xbfa,b\r\n1,2\r\n", "rows.csv")) == [{"a": "1", "b": "2"}]


BAD_FILES = {
    "empty": (b"", "rows.jsonl", "empty"),
    "only blanks": (b" \n\n", "rows.jsonl", "empty"),
    "empty list": (b"[]", "rows.json", "empty"),
    "only a header": (b"prompt,completion\n", "rows.csv", "empty"),
    "broken JSON": (b'{"a": "1"}\n\n{"a": \n', "rows.jsonl", "line 3, column 7: broken JSON"),
    "broken list": (b'[{"a": "1"},\n{"a" "2"}]', "rows.json", "line 2, column 6: broken JSON"),
    "not an object": (b'{"a": "1"}\n"a"\n', "rows.jsonl", 'line 2: "a"; expected an object'),
    "Latin-1": ("a\ncaf\xe9".encode("latin-1"), "rows.csv", "line 2: byte 0xe9 is not UTF-8"),
    "UTF-16": ('{"a": "1"}'.encode("utf-16"), "rows.jsonl", "line 1: byte 0xff is not UTF-8"),
    "extra cell": (b'a,b\n"1\n1",2\n\n3,4,5\n', "rows.csv", "line 5: more cells"),
    "open quote": (b'a,b\n1,"2\n', "rows.csv", "broken CSV"),
    "not Parquet": (b"PAR2", "rows.parquet", "cannot be read"),
    "other kind": (b"Hello", "rows.docx", "expected a file named .json"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(case, write):
    content, name, message = BAD_FILES[case]
    path = write(content, name)
    with pytest.raises(DataError) as error:
        read_rows(path)
    assert str(error.value).startswith(f"{path}")
    assert message in str(error.value)


def test_missing_and_cut_off_files(write, tmp_path):
    for name in ("none.jsonl", "none.csv.gz"):
        for read in (read_rows, located_rows):
            with pytest.raises(DataError, match=f"{name}: no such file"):
                read(tmp_path / name)
    path = write(ENCODINGS["jsonl"](ROWS), "rows.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match=r"rows\.jsonl\.gz: cannot be read"):
        read_rows(path)
    with pytest.raises(DataError, match="one split, 'train'; it has no split 'test'"):
        located_rows(write([{"a": "1"}]), split="test")


def test_rows_come_with_the_line_on_which_they_begin(write):
    places = {
        "rows.jsonl": [1, 3],  # the lines between are blank
        "rows.csv": [2, 4],  # the first has a cell of two lines
    }
    for name, lines in places.items():
        path = write(ENCODINGS[name.split(".")[1]](ROWS), name)
        assert located_rows(path) == [
            (f"{path}, line {n}", row) for n, row in zip(lines, ROWS, strict=True)
        ]


def test_files_of_other_kinds_can_be_read_by_lines(write):
    path = write("Why?\r\n\n Who?\n", "prompts.txt")
    expected = [(f"{path}, line 1", {"prompt": "Why?"}), (f"{path}, line 3", {"prompt": " Who?"})]
    assert file_rows(path, otherwise=line_rows) == expected
    rows = write([{"prompt": "Why?"}])
    assert file_rows(rows, otherwise=line_rows) == located_rows(rows)


# The Hub.


def test_hub_data_set(monkeypatch):
    asked, rows = [], [{"a": "1"}, {"a": "2"}]

    def load(source, split):
        asked.append((source, split))
        return datasets.Dataset.from_list(rows)

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert located_rows("org/name", "test") == [
        ("org/name, row 1", {"a": "1"}), ("org/name, row 2", {"a": "2"}),
    ]  # fmt: skip
    assert asked == [("org/name", "test")]
    rows.clear()
    with pytest.raises(DataError, match="org/name, split 'train': empty"):
        located_rows("org/name")


def test_hub_out_of_reach(monkeypatch):
    def load(source, split):
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(DataError, match=r"org/name: no file here, and .* 'train': no network$"):
        located_rows("org/name")


def test_a_file_is_never_taken_for_a_hub_id(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: pytest.fail("asked the Hub"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"rows\.jsonl: no such file"):
        located_rows("rows.jsonl")  # missing, but the name of a file
    (tmp_path / "rows").write_text("{}")
    with pytest.raises(DataError, match="rows: expected a file named"):
        located_rows("rows")  # could be an id, but is here


def test_errors_and_reading_are_at_hand_beside_the_formats():
    assert (data.DataError, data.read_rows) == (files.DataError, files.read_rows)
