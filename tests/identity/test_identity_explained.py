"""`cdp why`, `cdp what-if`, overrides and health, as an operator meets them; and rules that are refused by name."""

import json
from datetime import date
from pathlib import Path

import duckdb
import pytest

from cdp_orchestration.components.metadata import _health
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.identity import protection
from cdp_orchestration.identity.rules import check_overrides, check_rules, identity_rules
from cdp_orchestration.landing import Landing, Page, Record
from cdp_orchestration.project.fingerprint import fingerprint
from cdp_orchestration.queries.answers import Rows
from cdp_orchestration.queries.what_if import rules_of
from cdp_orchestration.queries.why import why
from tests.identity.test_identity import copy_of_the_project, protect, speak_segment
from tests.support.harness import Platform


def said(number: int, user: str | None = None, email: str | None = None, cookie: str | None = None) -> dict:
    body: dict = {"type": "identify", "messageId": f"m{number}", "timestamp": f"2026-05-01T00:00:{number:02d}Z",
                  "receivedAt": f"2026-05-01T00:00:{number:02d}Z", "traits": {"plan": f"p{number}"}}  # fmt: skip
    if user:
        body["userId"] = user
    if email:
        body["traits"]["email"] = email
    if cookie:
        body["anonymousId"] = cookie
    return body


def external(kind: str, value: str) -> dict:
    return {"id": value, "type": kind, "collection": "users", "encoding": "none"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Semantics 1.1 (two people, one e-mail; a shared tablet), 1.3 (rank wins), 2.3 (protection: web may update only, what
    email says is read only), and a wrongly joined pair."""
    folder = tmp_path_factory.mktemp("explained")
    platform = Platform(folder / "home", copy_of_the_project(folder / "project"))
    protect(platform.project, {"web": "update_only", "email": "read_only"})
    speak_segment(platform.project, ["email"])
    landed(platform, "web", "events", [said(30, email="jane@example1.com"), said(31, user="only-web")])
    landed(platform, "inbox", "messages", [
        said(1, user="abc123", email="jane@example1.com"),
        said(2, user="abc456", email="jane@example1.com"),          # limit: a new person without the e-mail
        said(3, user="t1", email="t1@x.example", cookie="tablet"),
        said(4, user="t2", email="t2@x.example", cookie="tablet"),  # the tablet stays with the first
        said(5, cookie="tablet"),
        said(6, user="A", cookie="X"), said(7, user="A", cookie="Y"), said(8, user="B", cookie="Z"),
        said(9, user="B", cookie="Y"),                              # rank wins: written to B, Y stays with A
        said(10, email="w1@x.example", cookie="shared"), said(11, email="w2@x.example", cookie="shared"),
        said(12, user="third", cookie="shared2"), said(13, user="own", email="w3@x.example", cookie="moving"),
        said(14, user="third", cookie="moving"),
        said(15, user="e=f", cookie="c=d") | {"context": {"externalIds": [
            external("user_id=e", "f"), external("anonymous_id=c", "d"), external("anonymous_id%3Dc", "d"), external("(forced)", "1")]}},
        said(16, user="\ttrimmed\r\n", cookie="trim-1"), said(17, user="trimmed", cookie="trim-2"), said(18, user="\t", cookie="blank"),
        said(19, user="aa-old"), said(20, user="zz-new"),           # an alias between two known users, by another spelling
        {"type": "alias", "messageId": "m21", "userId": "zz-new", "previousId": "\u200baa-old ", "timestamp": "2026-05-01T00:00:21Z",
         "receivedAt": "2026-05-01T00:00:21Z"},
        {"type": "alias", "messageId": "m22", "userId": "zz-new", "previousId": "only-web", "timestamp": "2026-05-01T00:00:22Z",
         "receivedAt": "2026-05-01T00:00:22Z"},
    ])  # fmt: skip
    allows = {"context": {"consent": {"categoryPreferences": {"email_marketing": True}}}}
    landed(platform, "web", "events", [
        said(32, user="abc123", email="new@x.example") | allows,    # hers, and the e-mail nobody's
        said(33, user="A", cookie="Z"),                             # A's, and nobody merges
        said(34, email="w2@x.example"),
    ])  # fmt: skip
    landed(platform, "email", "engagement", [said(35, user="abc123", email="read@x.example") | allows])
    platform.run("--as-of", "2026-06-01")
    return platform


def landed(platform: Platform, source: str, stream: str, messages: list[dict]) -> None:
    records = [Record(json.dumps(message), file="one.jsonl") for message in messages]
    Landing(platform.root / "landing").land(source, stream, [Page(records, {})])


def owner(platform: Platform, kind: str, value: str) -> str | None:
    found = platform.rows(
        f"select profile_id from identity.identifiers where identifier_type = '{kind}' and identifier_value = '{value}'"
    )
    return found[0][0] if found else None


def person_of(platform: Platform, message: str) -> str | None:
    return platform.rows(f"select profile_id from profiles.events where message_id = '{message}'")[0][0]


def test_worked_examples_of_merge_protection(platform: Platform) -> None:
    assert owner(platform, "user_id", "abc123") == owner(platform, "email", "jane@example1.com")
    assert owner(platform, "user_id", "abc456") == person_of(platform, "m2") != owner(platform, "user_id", "abc123")
    assert owner(platform, "user_id", "t2") == owner(platform, "email", "t2@x.example")
    assert person_of(platform, "m5") == owner(platform, "user_id", "t1") == owner(platform, "anonymous_id", "tablet")
    assert person_of(platform, "m9") == owner(platform, "user_id", "B") == owner(platform, "anonymous_id", "Z")
    assert (
        owner(platform, "anonymous_id", "Y") == owner(platform, "anonymous_id", "X") == owner(platform, "user_id", "A")
    )


def test_protected_sources_found_and_link_nobody(platform: Platform) -> None:
    jane = owner(platform, "user_id", "abc123")
    assert person_of(platform, "m30") is None, "also when a later message founds a person with that e-mail"
    assert person_of(platform, "m32") == jane
    assert person_of(platform, "m33") == owner(platform, "user_id", "A") != owner(platform, "anonymous_id", "Z")
    assert person_of(platform, "m35") is None
    assert owner(platform, "email", "new@x.example") is None
    assert owner(platform, "email", "read@x.example") is None
    traits = platform.rows(f"select message_id from profiles.traits where profile_id = '{jane}' and trait = 'plan'")
    assert traits == [("m32",)], "an update changes whom it names, what is read only does not"
    consents = platform.rows("select profile_id, message_id from profiles.consents")
    assert consents == [(jane, "m32")]
    assert owner(platform, "user_id", "only-web") is None
    assert owner(platform, "anonymous_id", "only-web") == owner(platform, "user_id", "zz-new"), "no known user_id"
    accepted = platform.rows(
        "select count(*) from staging.intake where fate = 'accepted' and source in ('web', 'email')"
    )
    assert accepted == [(6,)]


def test_why_a_protected_message_is_nobodys(platform: Platform) -> None:
    told = platform.cdp("profile", "email=jane@example1.com").stdout
    assert "message m30 of source web (update_only) matched nobody at its arrival" in told
    refused = platform.cdp("profile", "email=New@x.example")
    assert refused.returncode == 1
    assert "message m32 of source web (update_only) belongs to whom another of its identifiers named" in refused.stderr
    with pytest.raises(NeedsAPerson, match=r"message m35 of source email \(read_only\) belongs to nobody"):
        list(why(Home(platform.root), ("email", "read@x.example"), ("user_id", "A")))
    parts = list(why(Home(platform.root), ("user_id", "A"), ("user_id", "B")))
    both = [part.rows for part in parts if isinstance(part, Rows) and "update_only" in part.title]
    assert [row[0] for rows in both for row in rows] == ["m33"]
    told = platform.cdp("status").stdout
    assert "Protected sources" in told
    nobody = dict(platform.rows("select detail, amount from identity.health where measure = 'messages_of_nobody'"))
    assert nobody == {"update_only_no_match": 2, "read_only": 1}


def test_a_source_that_there_is_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typo would protect nothing; another protection is another rule, another tier is not."""
    declared = {"cmr": {"protection": "read_only"}, "web": {"tier": "sdk"}}
    monkeypatch.setattr(protection, "declared_sources", lambda: declared)
    (problem,) = protection.unknown_sources({"crm", "web"})
    assert "vars.sources: cmr: there is no such source: write one of crm, web" in problem
    assert protection.protections() == {"cmr": "read_only"}
    model = {"resource_type": "model", "name": "set_owners", "fqn": ["cdp", "2_identity", "set_owners"], "checksum": {"checksum": ""},
             "raw_code": "", "depends_on": {"macros": ["macro.cdp.source_rules"]}}  # fmt: skip
    macro = {"macro_sql": "{% for source in var('sources', {}) %}", "depends_on": {"macros": []}}
    manifest = {"nodes": {"model.cdp.set_owners": model}, "macros": {"macro.cdp.source_rules": macro}}
    before = fingerprint(manifest, {"sources": {"web": {"tier": "sdk"}}})
    assert fingerprint(manifest, {"sources": {"web": {"tier": "csv"}}}) == before
    assert fingerprint(manifest, {"sources": {"web": {"protection": "update_only"}}}) != before


def test_a_senders_own_types_meet_nobody(platform: Platform) -> None:
    """Whatever they are called: also as if their name went on with a value's beginning."""
    assert owner(platform, "user_id", "e=f") == owner(platform, "anonymous_id", "c=d") is not None
    undeclared = platform.rows(
        "select identifier_type from identity.refusals where rule = 'undeclared_type' order by 1"
    )
    assert [kind for (kind,) in undeclared] == ["(forced)", "anonymous_id%3Dc", "anonymous_id=c", "user_id=e"]


def test_tabs_and_line_ends_are_no_part_of_a_value(platform: Platform) -> None:
    assert owner(platform, "user_id", "trimmed") == owner(platform, "anonymous_id", "trim-1")
    assert owner(platform, "anonymous_id", "trim-1") == owner(platform, "anonymous_id", "trim-2") is not None
    # A blank says nothing: there is nothing to refuse.
    assert platform.rows("select rule from identity.refusals where message_id = 'm18'") == []


def test_an_alias_between_two_known_users_is_its_senders(platform: Platform) -> None:
    assert person_of(platform, "m21") == owner(platform, "user_id", "zz-new") != owner(platform, "user_id", "aa-old")
    refused = platform.rows("select identifier_value, rule from identity.refusals where message_id = 'm21'")
    assert refused == [("aa-old", "merge_protection")]


def test_a_person_is_found_by_any_spelling(platform: Platform) -> None:
    for asked in ("email=Jane <JANE@example1.com>", "user_id=\u00a0abc123\u200b", "user_id=ABC123"):
        assert "jane@example1.com" in platform.cdp("profile", asked).stdout


def test_why_and_why_not(platform: Platform) -> None:
    one = platform.cdp("why", "email=W1@x.example", "email=w2@x.example")
    assert one.returncode == 0, one.stderr
    assert "are one person" in one.stdout
    assert "m10" in one.stdout
    assert "m11" in one.stdout
    two = platform.cdp("why", "user_id=A", "user_id=B")
    assert "are two persons" in two.stdout
    assert "2 user_id (limit 1)" in two.stdout
    assert "m9" in two.stdout
    nobody = platform.cdp("why", "user_id=nobody", "user_id=B")
    assert nobody.returncode == 1
    assert "no message" in nobody.stderr
    assert "Traceback" not in nobody.stderr


def test_why_not_knows_a_type_that_was_taken_away_since(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = identity_rules()
    declared = {name: rule for name, rule in rules["identifiers"].items() if name != "anonymous_id"}
    monkeypatch.setattr("cdp_orchestration.queries.why.identity_rules", lambda: {**rules, "identifiers": declared})
    told = list(why(Home(platform.root), ("user_id", "A"), ("user_id", "B")))
    assert any("2 user_id (limit 1)" in part for part in told if isinstance(part, str))


def test_what_if_tells_and_touches_nothing(platform: Platform, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("identifiers: {email: {limit: 1}}\n")
    before = (platform.root / "warehouse.duckdb").read_bytes()
    unbuilt = platform.project / "dbt_project/models/5_audiences/unbuilt.sql"
    unbuilt.write_text("select profile_id from {{ ref('profiles') }}\n")
    done = platform.cdp("what-if", str(rules))
    unbuilt.unlink()
    assert done.returncode == 0, done.stdout + done.stderr + platform.log()
    assert "not built yet" in done.stdout
    assert "people who would be split" in done.stdout
    assert "w2@x.example" in done.stdout
    assert (platform.root / "warehouse.duckdb").read_bytes() == before
    assert not list(platform.root.glob("scratch/cdp_scratch_*"))


def test_health_counts_refusals_and_sharing(platform: Platform) -> None:
    amounts = {(m, d): a for m, d, a in platform.rows("select measure, detail, amount from identity.health")}
    assert amounts["refused_identifiers", "merge_protection"] == 5
    assert amounts["people_who_share_value", "anonymous_id=tablet"] == 2


def test_overrides_split_people_on_every_layer(platform: Platform) -> None:
    """Last in the file: it changes the people. A cut also lets a cookie go where it belongs."""
    wrong = owner(platform, "email", "w1@x.example")
    assert owner(platform, "email", "w2@x.example") == wrong
    assert owner(platform, "anonymous_id", "moving") == owner(platform, "user_id", "own")
    seed = platform.project / "dbt_project/seeds/identity_overrides.csv"
    seed.write_text(seed.read_text()
                    + "forbid,email,W1@x.example,email,w2@x.example,ops,two people\n"
                    + "cut,email,w3@x.example,anonymous_id,moving,ops,not hers\n"
                    + "cut,user_id,own,anonymous_id,moving,ops,not hers\n")  # fmt: skip
    platform.run("--as-of", "2026-06-02")
    left, right = owner(platform, "email", "w1@x.example"), owner(platform, "email", "w2@x.example")
    assert left == wrong
    assert right not in (None, wrong)
    assert (person_of(platform, "m10"), person_of(platform, "m11")) == (left, right)
    assert person_of(platform, "m34") == right, "an update goes where the identifier goes that names its person"
    plans = dict(platform.rows("select profile_id, value from profiles.traits where trait = 'plan'"))
    assert plans[left] == '"p10"'
    assert plans[right] == '"p34"'
    seen = {row[0] for row in platform.rows("select profile_id from attributes.last_seen")}
    assert {left, right} <= seen
    assert owner(platform, "anonymous_id", "moving") == owner(platform, "user_id", "third")
    splits = set(platform.rows("select from_profile_id, into_profile_id from identity.merges where kind = 'split'"))
    assert (wrong, right) in splits
    assert (owner(platform, "user_id", "own"), owner(platform, "user_id", "third")) in splits
    seed.write_text(seed.read_text() + "forse,email,a,email,b,ops,typo\n")
    refused = platform.cdp("run", "--as-of", "2026-06-03")
    assert refused.returncode == 1
    assert "line 5" in refused.stderr
    assert "forse" in refused.stderr


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"identifiers": {}}, "identifiers"),
        ({"identifiers": {"email": {"priority": 0}}}, "identifiers: email: priority"),
        ({"identifiers": {"email": {"priority": 1, "limit": "five"}}}, "identifiers: email: limit"),
        ({"identifiers": {"email": {"priority": 1, "normalise": "upper"}}}, "identifiers: email: normalise"),
        ({"identifiers": {"email": {"priority": 1, "limits": 5}}}, "identifiers: email: limits"),
        ({"blocked_patterns": ["("]}, "blocked_patterns"),
        ({"blocked": {"fax": ["1"]}}, "blocked: fax"),
        ({"calling_code": "+49"}, "calling_code"),
        ({"calling_code": 36}, "calling_code"),
        ({"calling_code": "0044"}, "calling_code"),
        ({"blocked_values": [None]}, "blocked_values: holds None"),
        ({"blocked_values": [date(2026, 1, 1)]}, "blocked_values: holds"),
        ({"blocked": {"email": [["a"]]}}, "blocked: email: holds"),
        ({"blocked_patterns": [""]}, "blocked_patterns: '' is empty"),
        ({"blocked_patterns": {"(": "a reason"}}, "blocked_patterns"),
        ({"blocked_values": {None: "a reason"}}, "blocked_values: holds None"),
        ({"blocked_values": "null"}, "blocked_values: must be a list"),
        ({"blocked_patterns": ["^(?!ok)bad"]}, "blocked_patterns"),
    ],
)
def test_wrong_rules_are_refused_by_name(change: dict, named: str) -> None:
    with pytest.raises(NeedsAPerson, match=named):
        check_rules({**identity_rules(), **change}, "dbt_project.yml")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"calling_code: \xfc", "is no YAML"),
        (b"identifiers: {emial: null}", "identifiers: emial: is to go"),
        (b"blocked_values: [2026-01-01]", "blocked_values: holds"),
        (b"blocked: {email: null}", "blocked: must map"),
    ],
)
def test_a_wrong_file_of_rules_is_told(content: bytes, told: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_bytes(content)
    with pytest.raises(NeedsAPerson, match=told):
        rules_of(file)


def test_the_health_told_in_dagster_is_that_of_the_last_resolution() -> None:
    """Also where builds stand at one moment over the same messages."""
    with duckdb.connect() as connection:
        connection.execute("create schema identity")
        connection.execute("create table identity.health as select 'share' as measure, 'x' as detail, 1.0 as amount")
        connection.execute(
            "create table identity.vitals as select * from (values (3, 0, 0, 9, 5, 1), (4, 0, 0, 8, 5, 2), (2, 0, 0, 7, 6, null)) "
            "as builds(profiles, merged, refusals, largest_profile, messages, resolution_no), (select timestamp '2026-11-01' as as_of)"
        )
        assert _health(connection)["profiles"] == 4  # type: ignore[arg-type]


def test_forced_and_forbidden_pairs_contradict(tmp_path: Path) -> None:
    file = tmp_path / "overrides.csv"
    file.write_text("action,a_type,a_value,b_type,b_value,decided_by,reason\nforce,email,a,email,b,x,y\n"
                    "force,email,b,email,c,x,y\nforbid,email,A,email,c,x,y\n")  # fmt: skip
    with pytest.raises(NeedsAPerson, match="line 4"):
        check_overrides(identity_rules(), file)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"Grund: f\xfcr alle", "is not UTF-8"),
        (b"\xef\xbb\xbfaction,a_type", "byte order mark"),
        (b"cut,email,a,email,b,x,two, people", "line 2: has 8 values, not 7"),
        (b"cut,email,a,email,b,x", "line 2: has 6 values, not 7"),
    ],
)
def test_a_file_that_is_no_table_of_decisions_is_told(content: bytes, told: str, tmp_path: Path) -> None:
    file = tmp_path / "overrides.csv"
    header = b"action,a_type,a_value,b_type,b_value,decided_by,reason\n"
    file.write_bytes((b"" if content.startswith(b"\xef") else header) + content + b"\n")
    with pytest.raises(NeedsAPerson, match=told):
        check_overrides(identity_rules(), file)
