"""The files source: what is read, what is only named, and what a faulty file is told to be."""

import codecs
import gzip
import io
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cdp_orchestration.connections import connections
from cdp_orchestration.home import Home
from cdp_orchestration.kinds import SOURCES
from cdp_orchestration.landing import Landing
from cdp_orchestration.sources._folder import pattern
from cdp_orchestration.sources._formats import FileFormat, read_records
from cdp_orchestration.sources.base import Source
from cdp_orchestration.unread import sentences

BOM = codecs.BOM_UTF8
ONE, TWO = b'{"n":1}\n', b'{"n":2}\n'


def source_of(folder: Path, **streams: dict[str, Any]) -> Source:
    kind = SOURCES["files"]
    return kind(kind.Config.model_validate({"kind": "files", "path": "in", "streams": streams}), folder)


def inbox(home: Path) -> Source:
    """The inbox as it ships."""
    return connections("sources")["inbox"].source(Home(home))


def pull(source: Source, home: Path, stream: str = "messages") -> list[tuple[str, str | None, str | None]]:
    """(file, payload, error) of what lands."""
    landing = Landing(home / "landing")
    batches = landing.land("inbox", stream, source.pull(stream, {}, landing.files("inbox", stream)))
    rows = [row for batch in batches for row in pq.read_table(batch.path).to_pylist()]
    return [(row["_file"], row["_payload"], row["_error"]) for row in rows]


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


READ = {
    "UPPER.JSONL": ONE, "events.Json": ONE, "events.ndjson": ONE, "2026-10-01/deep/nested.jsonl": ONE,
    "1790848800.gz": gzip.compress(ONE, mtime=0), "plain-named.jsonl": gzip.compress(ONE), "no-gzip.jsonl.gz": ONE,
    "two-members.jsonl.gz": gzip.compress(ONE, mtime=0) + gzip.compress(ONE), "plain.txt": ONE, "events.log": b"\n \r\n" + ONE,
    "no_extension": BOM + ONE, "a.b.c/x.DAT.GZ": gzip.compress(b"\n" + ONE, mtime=0), "pretty.out": b'{\n  "n": 1\n}\n{\n  "n": 1\n}\n',
    "array.JSON": b'[{"n":1},\n {"n":1}]', "cut-off.txt": b'{"n":1', "garbage-first.jsonl": b"garbage\n" + ONE,
}  # fmt: skip
LEFT = {
    ".hidden.jsonl": (ONE, "its name begins with ."), "_under.jsonl": (ONE, "its name begins with _"),
    "_done/x.jsonl": (ONE, "'_done' begins with _"), "a/.git/x.json": (ONE, "'.git' begins with ."),
    "x.jsonl.PART": (ONE, "it is unfinished, by its name"), "x.json~": (ONE, "it is unfinished, by its name"),
    "notes.txt": (b"hello\n" + ONE, "its first line is no JSON object"), "list.txt": (b"[1]\n", "its first line is no JSON object"),
    "template.html": (b"{% if x %}\n", "its first line is no JSON object"), "nothing.log": (b" \n", "it is empty"),
    "photo.png": (b"\x89PNG\r\n\x1a\n\x00", "its first line is no JSON object"), "cut.gz": (b"\x1f\x8bxx", "it cannot be read"),
}  # fmt: skip


def test_the_inbox_reads_whatever_begins_with_a_json_object_and_names_the_rest(tmp_path: Path) -> None:
    write(tmp_path / "inbox", READ | {name: content for name, (content, _) in LEFT.items()})
    landed = pull(inbox(tmp_path), tmp_path)
    assert {name for name, _, _ in landed} == set(READ)
    assert {name for name, payload, error in landed if error is None} == set(READ) - {"cut-off.txt"}
    assert {json.dumps(json.loads(payload or "")) for _, payload, error in landed if error is None} == {'{"n": 1}'}
    assert {error for _, _, error in landed if error} == {
        "line 1: not valid JSON: Expecting ',' delimiter: line 1 column 7 (char 6)",
        "line 1: not valid JSON: Expecting value: line 1 column 1 (char 0)",
    }
    assert pull(inbox(tmp_path), tmp_path) == []
    (told,) = sentences(Home(tmp_path))
    assert told.startswith(f"inbox: {len(LEFT)} files are not read: ")
    assert told.endswith("; and 2 more (`cdp status`)")
    seen = {name: why for _, name, why in inbox(tmp_path).look(lambda _: {})}
    assert {name: why for name, why in seen.items() if why is None} == dict.fromkeys(READ)
    for name, (_, why) in LEFT.items():
        assert str(seen[name]).startswith(why), name


def test_what_landed_under_the_old_pattern_of_the_inbox_stays_landed(tmp_path: Path) -> None:
    write(tmp_path / "in", {"a.jsonl": ONE, "b.json.gz": gzip.compress(TWO, mtime=0)})
    old = source_of(tmp_path, messages={"glob": "*.*json*", "format": "jsonl"})
    assert len(pull(old, tmp_path)) == 2
    (tmp_path / "in").rename(tmp_path / "inbox")
    write(tmp_path / "inbox", {"c.txt": ONE})
    assert [name for name, _, _ in pull(inbox(tmp_path), tmp_path)] == ["c.txt"]


def test_every_source_names_what_no_stream_matches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path / "company",
        {"crm/CUSTOMERS-1.CSV": b"id\n1\n", "crm/customers.xlsx": b"PK", "crm/old/customers-2.csv": b"x"},
    )
    monkeypatch.delenv("SHOP_DATABASE_URL", raising=False)
    assert sentences(Home(tmp_path)) == [
        "crm: 2 files are not read: customers.xlsx (it matches no stream's glob); old/customers-2.csv (it matches no stream's glob)"
    ]


def test_files_that_are_known_are_not_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "inbox", {"a.txt": ONE, "b.jsonl": ONE})
    assert len(pull(inbox(tmp_path), tmp_path)) == 2
    files = Landing(tmp_path / "landing").files("inbox", "messages")
    source = inbox(tmp_path)
    opened: list[Any] = []
    for module in ("_folder", "files"):
        monkeypatch.setattr(f"cdp_orchestration.sources.{module}.open", lambda *a: opened.append(a), raising=False)
    assert list(source.pull("messages", {}, files)) == []
    assert [why for _, _, why in source.look(lambda _: files)] == [None, None]
    assert opened == []


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("*.csv", ["a.csv", "A.CSV", "a.Csv"], ["x/a.csv", "a.csv.gz"]),
        ("**/*.csv", ["a.csv", "x/a.csv", "x/y/a.CSV"], ["a.txt"]),
        ("x/*/a?.[ct]sv", ["x/y/ab.csv", "X/y/aB.TSV"], ["x/ab.csv", "x/y/z/ab.csv", "x/y/ab.psv"]),
        ("x/**", ["x/a", "x/y/b"], ["y/a"]),
        ("[!a]*", ["b"], ["a", "ab", "A"]),
        ("a+b(1).csv", ["a+b(1).csv"], ["aab1.csv"]),
    ],
)
def test_globs_are_the_shells_in_any_case(glob: str, yes: list[str], no: list[str]) -> None:
    assert [name for name in yes + no if pattern(glob)[0].fullmatch(name)] == yes


def test_links_that_lead_back_end(tmp_path: Path) -> None:
    write(tmp_path / "inbox", {"a/x.jsonl": ONE})
    (tmp_path / "inbox" / "a" / "back").symlink_to(tmp_path / "inbox")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "y.jsonl").write_bytes(TWO)
    (tmp_path / "inbox" / "linked").symlink_to(tmp_path / "elsewhere")
    assert [name for name, _, _ in pull(inbox(tmp_path), tmp_path)] == ["a/x.jsonl", "linked/y.jsonl"]


def read(content: bytes, name: str = "x.jsonl", **how: Any) -> list[tuple[str | None, str | None]]:
    records = read_records(io.BytesIO(content), name, FileFormat(**how))
    return [(record.payload, record.error) for record in records]


def only_error(content: bytes, name: str, **how: Any) -> str:
    ((payload, error),) = read(content, name, **how)
    assert payload is None
    assert error is not None
    assert error.startswith(f"{name}: could not be read: ")
    return error


def test_a_byte_order_mark_between_lines_is_no_content() -> None:
    both = [('{"n":1}', None), ('{"n":2}', None)]
    for joined in (
        ONE + BOM + TWO,
        ONE[:-1] + BOM + TWO,
        BOM + ONE + BOM + TWO + BOM,
        BOM + ONE + b" " + BOM + b" \n" + TWO,
    ):
        assert read(joined) == both
        assert read(joined, encoding="utf-8") == both
    within = '{"n":"a\ufeffb"}'
    assert read(f"{within}\n".encode()) == [(within, None)]
    ((_, error),) = read(f"{within[:-1]}".encode())
    assert "a byte-order mark stands in mid-line, at column 8" in str(error)
    rows = BOM + b'"id","name"\n1,x\n' + BOM + b'"id","name"\n2,"y\n' + BOM + b'z"\n'
    for encoding in ("utf-8-sig", "utf-8"):
        assert read(rows, "x.csv", encoding=encoding) == [
            ('{"id":"1","name":"x"}', None),
            ('"id","name"', "line 3: the header once more, no row: were files joined?"),
            ('{"id":"2","name":"y\\n\ufeffz"}', None),
        ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_characters_are_told_with_the_remedy_which_works(encoding: str) -> None:
    for name, content in {"x.jsonl": '{"n":"é"}\n', "x.csv": "n,m\né,2\n"}.items():
        error = only_error(content.encode(encoding), name)
        assert f"its text is {encoding.upper()}, not utf-8. Set the stream's field 'encoding' to {encoding}." in error
        assert only_error(gzip.compress(content.encode(encoding)), name) == error
        assert [error for _, error in read(content.encode(encoding), name, encoding=encoding)] == [None]


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (
            b"id;name\n1;x\n",
            "x.csv",
            "separated by semicolons (';'), not by commas (','). Set the stream's field 'delimiter' to ';'",
        ),
        (b"id\tname\n1\tx\n", "x.csv", "tabs"),
        (b"id|name\n1|x\n", "X.CSV", "pipes"),
        (b"id,name\n1,x\n", "x.tsv", "separated by commas (','), not by tabs"),
        (b'"id";"name"\n"1";"a,b"\n', "x.csv", "semicolons"),
        (BOM + b"id;price\n1;2,50\n2;3,50\n", "x.csv", "semicolons"),
        (b"sep=;\nid;name\n1;x\n", "x.csv", "a spreadsheet's note that its columns are separated by semicolons"),
        (gzip.compress(b"id;name\n1;x\n", mtime=0), "x.csv.gz", "semicolons"),
    ],
)
def test_another_delimiter_is_told_once_for_the_file(content: bytes, name: str, said: str) -> None:
    assert said in only_error(content, name)


def test_honest_csv_is_read_whatever_its_values_hold() -> None:
    assert read(b"one\na;b\nc\n", "x.csv") == [('{"one":"a;b"}', None), ('{"one":"c"}', None)]
    assert read(b"id,tags\n1,a;b\n2,c\n", "x.csv") == [
        ('{"id":"1","tags":"a;b"}', None),
        ('{"id":"2","tags":"c"}', None),
    ]
    assert read(b"id;name\n1;x\n", "x.csv", delimiter=";") == [('{"id":"1","name":"x"}', None)]
    assert read(b"a|b\n1|2\n", "x.csv", header=["whole"]) == [('{"whole":"a|b"}', None), ('{"whole":"1|2"}', None)]
    assert read(b"id,name\r1,x\r2,y", "x.csv") == [('{"id":"1","name":"x"}', None), ('{"id":"2","name":"y"}', None)]


def test_errors_of_records_name_their_line() -> None:
    assert [error for _, error in read(b'{"n":1}\n\n{"n":\n{"n":"\xff"}\n{"n":\x00}\n{"n":2')] == [
        None,
        "line 3: not valid JSON: Expecting value: line 1 column 6 (char 5)",
        "line 4: not valid UTF-8",
        "line 5: not valid JSON: Expecting value: line 1 column 6 (char 5) (it holds NUL bytes: was it cut off by a crash, or is it "
        "UTF-16?)",
        "line 6: not valid JSON: Expecting ',' delimiter: line 1 column 7 (char 6)",
    ]
    assert [error for _, error in read(b'id,name\n1,x\n2\n3,"caf\xe9\nx"\n4,"y\n', "x.csv")] == [
        None,
        "line 3: expected 2 columns (id, name), found 1",
        "line 4: not valid utf-8. Set the stream's field 'encoding' to what the file is written in.",
        "line 6: not valid CSV: unexpected end of data",
    ]
    assert read(b'{"n":1}\r{"n":\r{"n":2}\r') == [
        ('{"n":1}', None),
        ('{"n":', "line 2: not valid JSON: Expecting value: line 1 column 6 (char 5)"),
        ('{"n":2}', None),
    ]
    assert read(b'[{"n":1},\n{"n":"\\ud800"},\n{"n":2},\n{"n":}]', "x.json")[1:] == [
        ('{"n":"\\ud800"}', "line 2: not valid JSON: an escape names half a character (a lone surrogate)"),
        ('{"n":2}', None),
        (
            None,
            "x.json: could not be read: line 4: not valid JSON: Expecting value: line 4 column 6 (char 40). Correct its JSON.",
        ),
    ]


def test_a_line_without_an_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp_orchestration.sources._json._LONGEST", 1000)
    records = read(ONE + b"x" * 5000 + b"\n" + TWO)
    assert records == [('{"n":1}', None), ("x" * 1000, "line 2: longer than 1,000 characters"), ('{"n":2}', None)]


@pytest.mark.parametrize(
    ("begins", "what"), [(b"PK\x03\x04", "zip"), (b"BZh9", "bzip2"), (b"\x28\xb5\x2f\xfd", "zstd")]
)
def test_what_is_packed_otherwise_is_told(begins: bytes, what: str) -> None:
    assert what in only_error(begins + b"\x00\xff" * 20, "x.csv")


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def test_a_value_of_parquet_that_python_cannot_hold_costs_its_row_alone() -> None:
    late = pa.array([0, 253402300800_000000, 1, 2], pa.int64()).cast(pa.timestamp("us"))
    days = pa.array([1, 2, 3_000_000, 4], pa.int32()).cast(pa.date32())
    nested = pa.array([[0], [1], [2], [2**60]], pa.list_(pa.int64())).cast(pa.list_(pa.timestamp("us")))
    records = read(parquet(n=[1, 2, 3, 4], at=late, day=days, many=nested), "x.parquet")
    assert [error.split(" holds ")[0] if error else None for _, error in records] == [
        None, "row 2: column 'at'", "row 3: column 'day'", "row 4: column 'many'",
    ]  # fmt: skip
    assert json.loads(records[1][0] or "")["at"].startswith("10000-01-01 00:00:00")
    assert json.loads(records[0][0] or "") == {
        "n": 1, "at": "1970-01-01T00:00:00.000000", "day": "1970-01-02", "many": ["1970-01-01T00:00:00.000000"],
    }  # fmt: skip
    long = pa.array([1, 2**62], pa.int64()).cast(pa.duration("s"))
    assert [bool(error) for _, error in read(parquet(long=long), "x.parquet")] == [False, True]


def test_bytes_that_are_utf_8_are_text() -> None:
    ((payload, error),) = read(
        parquet(
            plain=[b"ana05@mail.example"], accents=["ä€".encode()], fixed=pa.array([b"ab\0\0"], pa.binary(4)),
            coded=pa.array([b"x"]).dictionary_encode(), listed=[[b"x", b"\xff\xfe"]], held=[{"a": b"x"}],
            mapped=pa.array([[(b"k", b"v")]], pa.map_(pa.binary(), pa.binary())), raw=[b"\xff"], bits=[b"\x01"], none=[b""],
        ),
        "x.parquet",
    )  # fmt: skip
    assert error is None
    assert json.loads(payload or "") == {
        "plain": "ana05@mail.example", "accents": "ä€", "fixed": "ab", "coded": "x", "listed": ["x", "//4="], "held": {"a": "x"},
        "mapped": {"k": "v"}, "raw": "/w==", "bits": "AQ==", "none": "",
    }  # fmt: skip


def test_old_timestamps_of_parquet_do_not_wrap_around() -> None:
    out = io.BytesIO()
    pq.write_table(
        pa.table({"at": [datetime(2500, 1, 1)], "day": [date(2500, 1, 1)]}), out, use_deprecated_int96_timestamps=True
    )
    assert read(out.getvalue(), "x.parquet") == [('{"at":"2500-01-01T00:00:00.000000","day":"2500-01-01"}', None)]
