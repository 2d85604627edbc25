"""Files of operations: what is in them, and that they are there whole or not at all."""

import csv
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_orchestration.destinations.base import Operation, Outcome
from cdp_orchestration.destinations.file_drop import FileDrop, FileDropConfig
from cdp_orchestration.errors import NeedsAPerson, NoAnswer
from cdp_orchestration.kinds import DESTINATIONS

ROWS = [
    Operation("remove", "a", {"email": "old@x.io"}, "key-1", {"email": "old@x.io"}),
    Operation("add", "a", {"email": "nü@x.io", "spend_usd": 1.5, "gone": None, "is_vip": True}, "key-2"),
    Operation("update", "b", {"note": 'a "quote",\nand a line'}, "key-3"),
]


def drop(root: Path, **fields: Any) -> FileDrop:
    return FileDrop(FileDropConfig(kind="file_drop", **fields), root)


def test_a_line_per_operation_in_the_order_given(tmp_path: Path) -> None:
    outcomes = drop(tmp_path).send("vips", "run-1", ROWS)
    [file] = (tmp_path / "drop").iterdir()
    assert file.read_text() == (
        '{"operation":"remove","row_key":"a","idempotency_key":"key-1","fields":{"email":"old@x.io"}}\n'
        '{"operation":"add","row_key":"a","idempotency_key":"key-2",'
        '"fields":{"email":"nü@x.io","spend_usd":1.5,"gone":null,"is_vip":true}}\n'
        '{"operation":"update","row_key":"b","idempotency_key":"key-3",'
        '"fields":{"note":"a \\"quote\\",\\nand a line"}}\n'
    )
    assert outcomes == [Outcome(o.row_key, "accepted", "written", file.name) for o in ROWS]
    assert file.name.startswith("vips-2")
    assert file.suffix == ".jsonl"


def test_csv_has_a_column_for_each_field_of_any_operation(tmp_path: Path) -> None:
    drop(tmp_path, format="csv").send("vips", "run-1", ROWS)
    [file] = (tmp_path / "drop").iterdir()
    with open(file, newline="") as handle:
        lines = list(csv.reader(handle))
    assert lines == [
        ["operation", "row_key", "idempotency_key", "email", "spend_usd", "gone", "is_vip", "note"],
        ["remove", "a", "key-1", "old@x.io", "", "", "", ""],
        ["add", "a", "key-2", "nü@x.io", "1.5", "", "true", ""],
        ["update", "b", "key-3", "", "", "", "", 'a "quote",\nand a line'],
    ]


def test_csv_says_when_a_column_of_the_model_clashes_with_its_own(tmp_path: Path) -> None:
    with pytest.raises(NeedsAPerson, match=r"column 'operation'.*Rename it"):
        drop(tmp_path, format="csv").send("vips", "run-1", [Operation("add", "a", {"operation": "x"}, "key")])
    assert not list(tmp_path.glob("drop/*"))


def test_the_same_operations_are_not_written_twice(tmp_path: Path) -> None:
    drop(tmp_path).send("vips", "run-1", ROWS)
    [file] = (tmp_path / "drop").iterdir()
    # Written on another day: within one second the name alone would be the same.
    file = file.rename(file.with_name(f"vips-20260101T000000Z-{file.stem.split('-')[-1]}.jsonl"))
    again = drop(tmp_path).send("vips", "run-2", ROWS)
    assert {outcome.message for outcome in again} == {file.name}
    assert list((tmp_path / "drop").iterdir()) == [file]
    drop(tmp_path).send("vips", "run-3", ROWS[:1])
    drop(tmp_path).send("others", "run-3", ROWS[:1])
    assert len(list((tmp_path / "drop").iterdir())) == 3


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(NoAnswer, match="No space left") as caught:
            drop(tmp_path).send("vips", "run-1", ROWS)
    assert not caught.value.may_have_arrived
    assert list((tmp_path / "drop").iterdir()) == []


def test_half_a_file_of_a_dead_process_is_hidden_and_swept_away(tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    half = tmp_path / "drop" / ".vips-20260101T000000Z-0123456789abcdef.jsonl.tmp"
    half.write_text('{"operation":"add"')
    drop(tmp_path).send("vips", "run-1", ROWS)
    assert not half.exists()
    assert [path.name[0] for path in (tmp_path / "drop").iterdir()] == ["v"]


def test_the_folder_is_below_the_home_unless_absolute(tmp_path: Path) -> None:
    drop(tmp_path / "home", folder="for/sales").send("vips", "run-1", ROWS)
    drop(tmp_path / "home", folder=str(tmp_path / "else")).send("vips", "run-1", ROWS)
    assert len(list((tmp_path / "home" / "for" / "sales").iterdir())) == 1
    assert len(list((tmp_path / "else").iterdir())) == 1


def test_a_folder_that_cannot_be_one_stops_and_names_the_field(tmp_path: Path) -> None:
    (tmp_path / "drop").write_text("a file")
    with pytest.raises(NeedsAPerson, match="field 'folder'"):
        drop(tmp_path).send("vips", "run-1", ROWS)


def test_nothing_to_send_writes_nothing(tmp_path: Path) -> None:
    assert drop(tmp_path).send("vips", "run-1", []) == []
    assert not (tmp_path / "drop").exists()


def test_the_whole_plan_goes_into_one_file_unless_told_otherwise(tmp_path: Path) -> None:
    assert DESTINATIONS["file_drop"] is FileDrop
    assert (drop(tmp_path).batch_size, drop(tmp_path).ordered) == (None, True)
    assert drop(tmp_path, batch_size=1000).batch_size == 1000
    for fields in ({"batch_size": 0}, {"format": "xml"}, {"path": "x"}):
        with pytest.raises(pydantic.ValidationError):
            FileDropConfig(kind="file_drop", **fields)


def test_lines_can_be_read_back(tmp_path: Path) -> None:
    odd = Operation("add", "\u2028", {"text": "\u2028\x00\U0001f600"}, "key")
    drop(tmp_path).send("vips", "run-1", [odd])
    [file] = (tmp_path / "drop").iterdir()
    [line] = file.read_bytes().split(b"\n")[:-1]
    assert json.loads(line)["fields"] == odd.fields


def csv_of(root: Path, rows: list[dict[str, Any]], **fields: Any) -> Path:
    operations = [Operation("add", f"k{n}", row, f"key-{n}") for n, row in enumerate(rows)]
    drop(root, format="csv", **fields).send("vips", "run-1", operations)
    [file] = (root / "drop").iterdir()
    return file


def read(file: Path) -> list[list[str]]:
    with open(file, newline="", encoding="utf-8") as handle:
        return list(csv.reader(handle, strict=True))


FORMULAS = [
    '=HYPERLINK("http://x.io","click")', "=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1:A9)", "\t=1", "\r=1", "\n=1", "\tx",
    "  =1", "\u00a0=1", "\ufeff=1", "\u200b=1", '"=1"', "'=1", "\uff1d1+1", "\uff0b1+a", "\uff0da", "\uff20SUM(A1)", "-", "=",
    "+1-555-0100", "-1+1e5", "+351 912 000 118 ext", "- a", "\x00=1", "+351(912)",
]  # fmt: skip
NO_FORMULAS = [
    "-5", "+3.2", "1e5", "-1e5", "-1.5E-3", "-1,234.50", "-.5", "+5.", "-5%", "+351912000118", "+351 912 000 118", " -5 ",
    "a=b", "a@x.io", "2026-11-01", "1-2", "", " ", "it's", '"quoted"', "'quoted'", "http://x.io/?a=1", "(=1)",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_a_text_to_a_spreadsheet(text: str, tmp_path: Path) -> None:
    header, row = read(csv_of(tmp_path, [{"note": text, text: 1}]))
    assert row[3] == header[4] == f"'{text}"


def test_a_row_key_may_be_a_formula_too(tmp_path: Path) -> None:
    drop(tmp_path, format="csv").send("vips", "run-1", [Operation("add", "=1", {}, "key")])
    [file] = (tmp_path / "drop").iterdir()
    assert read(file)[1] == ["add", "'=1", "key"]


def test_honest_values_stay_as_they_are(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"note": text} for text in NO_FORMULAS]
    numbers: list[dict[str, Any]] = [{"note": -5}, {"note": -0.5}, {"note": 1e22}, {"note": False}]
    expected = [*NO_FORMULAS, "-5", "-0.5", "1e+22", "false"]
    assert [row[3] for row in read(csv_of(tmp_path, rows + numbers))[1:]] == expected


def test_formulas_are_kept_for_those_who_say_so_and_in_json(tmp_path: Path) -> None:
    rows = [{"note": text} for text in FORMULAS]
    assert [row[3] for row in read(csv_of(tmp_path / "csv", rows, formulas="keep"))[1:]] == FORMULAS
    drop(tmp_path).send("vips", "run-1", [Operation("add", "a", rows[0], "key")])
    [file] = (tmp_path / "drop").iterdir()
    assert json.loads(file.read_text())["fields"] == rows[0]
    with pytest.raises(pydantic.ValidationError):
        FileDropConfig(kind="file_drop", formulas="drop")


TEXTS = st.text(st.sampled_from("ab ,;\t\r\n\"'=+-@#|\\\x00\x0b\x85\u2028\ufeffü5"), max_size=8) | st.text(max_size=6)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_no_row_is_torn_whatever_is_in_it(rows: list[tuple[str, str]]) -> None:
    for formulas in ("keep", "neutralise"):
        with tempfile.TemporaryDirectory() as folder:
            file = csv_of(Path(folder), [{"one": one, "two": two} for one, two in rows], formulas=formulas)
            found = [(row[3], row[4]) for row in read(file)[1:]]
            # DuckDB ends a file at no byte but its end, save that it cannot hold U+0000 in CSV.
            readable = not any("\x00" in text for row in rows for text in row)
            with duckdb.connect() as connection:
                also = connection.execute(
                    "select one, two from read_csv(?, header = true, all_varchar = true, delim = ',', quote = '\"', "
                    "escape = '\"', nullstr = 'no such text', strict_mode = true)",
                    [str(file)],
                ).fetchall() if readable else found  # fmt: skip
            assert len(found) == len(also) == len(rows)
            if formulas == "keep":
                assert found == also == rows


def test_the_address_is_the_folder_however_it_is_spelled(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "else"
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    same = [drop(home), drop(home, folder="./x/../drop/"), drop(home, folder=str(home / "drop")), drop(tmp_path / "link"),
            drop(home, format="csv", formulas="keep", batch_size=3)]  # fmt: skip
    assert {each.address() for each in same} == {"CDP_HOME/drop"}, "a home may move with its drop folder"
    assert drop(home, folder=str(elsewhere)).address() == str(elsewhere)
    assert drop(home, folder="other").address() == "CDP_HOME/other"
