"""What a model may declare about its sync, and what is said about what it may not."""

from typing import Any

import pytest

from cdp_orchestration.delivery.sync import Guard, Purpose, parse_sync
from cdp_orchestration.errors import NeedsAPerson

MINIMAL = {"destination": "crm", "consent": "not_required"}
WHERE = "models/6_activation/vips.yml"


def test_the_defaults() -> None:
    sync = parse_sync("vips", "activation.vips", MINIMAL, WHERE)
    assert (sync.mode, sync.identifiers, sync.consent) == ("mirror", {"row_key": "row_key"}, "not_required")
    assert (sync.target, sync.sent_nulls, sync.default_region, sync.where) == ({}, (), None, WHERE)
    assert sync.guard == Guard(max_removed_percent=50.0, max_removed=None, max_refused_percent=50.0, min_held=20)


def test_everything_said() -> None:
    meta = {
        "destination": "crm",
        "mode": "upsert",
        "consent": [{"regulation": "gdpr", "purpose": "email_marketing"}],
        "identifiers": {"email": "work_address", "user_id": "row_key"},
        "guard": {"max_removed_percent": 30, "min_held": 5, "max_removed": 7, "max_refused_percent": None},
        "target": {"list": 42},
        "nulls": {"send": ["city"]},
        "default_region": "DE",
    }
    sync = parse_sync("vips", "activation.vips", meta, WHERE)
    assert sync.consent == (Purpose("gdpr", "email_marketing"),)
    assert (sync.mode, sync.guard) == ("upsert", Guard(30.0, 7, None, 5))
    assert sync.identifiers == {"email": "work_address", "user_id": "row_key"}
    assert (sync.target, sync.sent_nulls, sync.default_region) == ({"list": 42}, ("city",), "DE")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"consent": None}, "state the purposes it needs, or `consent: not_required`"),
        ({"consent": []}, "state the purposes it needs, or `consent: not_required`"),
        ({"consent": "yes"}, "state the purposes it needs, or `consent: not_required`"),
        ({"consent": [{"regulation": "gdpr"}]}, r"consent\[0\]\.purpose"),
        ({"consent": [{"regulation": "gdpr", "purpose": "x", "state": "y"}]}, r"unknown field 'consent\[0\]\.state'"),
        ({"consent": ["email"]}, r"consent\[0\]"),
        ({"destination": None}, "field 'destination' is missing"),
        ({"destination": 3}, "field 'destination'"),
        ({"mode": "sideways"}, "field 'mode' is 'sideways': use mirror"),
        ({"identifiers": {"email": 3}}, "field 'identifiers'"),
        ({"identifiers": {}}, "field 'identifiers'"),
        ({"target": "list"}, "field 'target'"),
        ({"nulls": "maybe"}, "field 'nulls' is 'maybe'"),
        ({"nulls": {"send": "city"}}, "field 'nulls'"),
        ({"default_region": "Germany"}, "field 'default_region'"),
        ({"guard": {"max_removed": -1}}, r"guard\.max_removed"),
        ({"guard": {"max_refused_percent": 101}}, r"guard\.max_refused_percent"),
        ({"guard": {"min_held": None}}, r"guard\.min_held"),
        ({"frequency": 3}, "unknown field 'frequency'.*destination, mode"),
        ({"identifiers": []}, "field 'identifiers'"),
        ({"identifiers": "email"}, "field 'identifiers'"),
        ({"identifiers": ["email", "email"]}, "names a column twice"),
        ({"guard": 3}, "field 'guard'"),
        ({"guard": {"max": 3}}, r"unknown field 'guard\.max'"),
        ({"guard": {"max_removed_percent": 101}}, r"guard\.max_removed_percent"),
        ({"guard": {"max_removed_percent": "many"}}, r"guard\.max_removed_percent"),
        ({"guard": {"max_removed_percent": float("nan")}}, r"guard\.max_removed_percent"),
        ({"guard": {"min_held": True}}, r"guard\.min_held"),
    ],
)
def test_a_faulty_declaration_names_file_field_and_remedy(change: dict[str, Any], told: str) -> None:
    with pytest.raises(NeedsAPerson, match=told) as caught:
        parse_sync("vips", "activation.vips", {**MINIMAL, **change}, WHERE)
    assert str(caught.value).startswith(f"{WHERE}: sync 'vips':")


@pytest.mark.parametrize("meta", [{}, {"destination": "crm"}, None, ["crm"]])
def test_what_is_missing_is_asked_for(meta: Any) -> None:
    with pytest.raises(NeedsAPerson, match=r"destination|consent"):
        parse_sync("vips", "activation.vips", meta, WHERE)


def test_a_name_becomes_a_folder() -> None:
    with pytest.raises(NeedsAPerson, match="letters"):
        parse_sync("../vips", "activation.vips", MINIMAL, WHERE)
