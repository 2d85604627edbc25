"""The table of normalisation, by the vendors' published rules."""

import base64
import hashlib
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdp_orchestration.delivery.normalise import FORMATS, VERSION, normalise
from cdp_orchestration.kinds import DESTINATIONS


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("format", "value", "expected"),
    [
        ("plain", "  C-1 ", "C-1"),
        ("email", " John.Doe+x@Example.COM ", "john.doe+x@example.com"),
        ("email", "no address", None),
        ("email", "a@b", None),
        ("email", "a b@c.de", None),
        ("phone", "+1 (650) 555-1212", "+16505551212"),
        ("phone", "0044 20 7946 0958", "+442079460958"),
        ("phone", "+44 (0)7400 123456", "+447400123456"),
        ("phone", "０１５１ 23456789", "+4915123456789"),
        ("phone", "0151 23456789", "+4915123456789"),
        ("phone", "12", None),
        ("phone", "0000000", None),
        ("phone", "call me", None),
        ("email_md5", "A@B.de", hashlib.md5(b"a@b.de").hexdigest()),
        ("criteo_email", "A@B.de", hashlib.md5(b"a@b.de").hexdigest()),
        ("meta_email", " John.Doe+x@Example.COM ", sha("john.doe+x@example.com")),
        ("meta_phone", "+1 (650) 555-1212", sha("16505551212")),
        ("meta_phone", "0044 20 7946 0958", sha("442079460958")),
        ("meta_first_name", "Mary-Jane O'Neil", sha("maryjane oneil")),
        ("meta_first_name", "Valéry", sha("valéry")),
        ("meta_first_name", "Vale\u0301ry", sha("valéry")),
        ("meta_first_name", "정", sha("정")),
        ("meta_first_name", "!!!", None),
        ("meta_city", "São Paulo", sha("sãopaulo")),
        ("meta_city", "St. Louis", sha("stlouis")),
        ("meta_state", "California", sha("ca")),
        ("meta_state", "new  york", sha("ny")),
        ("meta_state", "Nordrhein-Westfalen", sha("nordrheinwestfalen")),
        ("meta_zip", "94035-1234", sha("94035")),
        ("meta_zip", "940351234", sha("94035")),
        ("meta_zip", "M1 1AE", sha("m11ae")),
        ("meta_zip", "1234", sha("1234")),
        ("meta_country", "DE", sha("de")),
        ("meta_country", "Germany", None),
        ("meta_gender", "Female", sha("f")),
        ("meta_gender", "", None),
        ("meta_gender", "x", None),
        ("meta_birth_month", "3", sha("03")),
        ("meta_birth_month", 3, sha("03")),
        ("meta_birth_month", "13", None),
        ("meta_birth_day", "09", sha("09")),
        ("meta_birth_year", "1990", sha("1990")),
        ("meta_external_id", "C-1", "C-1"),
        ("meta_mobile_ad_id", "5F23AB", "5f23ab"),
        ("google_email", "John.Doe+news@gmail.com", sha("johndoe@gmail.com")),
        ("google_email", "J.D@GoogleMail.com", sha("jd@googlemail.com")),
        ("google_email", "John.Doe+news@example.com", sha("john.doe+news@example.com")),
        ("google_email", "+x@gmail.com", None),
        ("google_phone", "+1 650-555-1212", sha("+16505551212")),
        ("google_first_name", " Mary-Jane ", sha("mary-jane")),
        ("google_country", "de", "DE"),
        ("google_zip", " 94035-1234 ", "94035-1234"),
        ("tiktok_email", "A.B+c@gmail.com", sha("a.b+c@gmail.com")),
        ("tiktok_phone", "+1 650-555-1212", sha("+16505551212")),
        ("snap_phone", "0044 20 7946 0958", sha("442079460958")),
        ("amazon_first_name", "José-María", sha("josmara")),
        ("amazon_zip", "M1 1AE", sha("m11ae")),
        ("ttd_email", "J.D+x@gmail.com", base64.b64encode(hashlib.sha256(b"jd@gmail.com").digest()).decode()),
    ],
)
def test_a_value_becomes_what_the_vendor_publishes(format: str, value: object, expected: str | None) -> None:
    assert normalise(format, value, "DE") == expected


def test_a_national_number_needs_a_region() -> None:
    assert normalise("phone", "0151 23456789", None) is None
    assert normalise("phone", "912 345 678", "PT") == "+351912345678"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("nothing", [None, "", "  ", "\u200b", "null", "N/A", "None", "undefined"])
def test_nothing_is_never_hashed(format: str, nothing: str | None) -> None:
    assert normalise(format, nothing, "DE") is None


@pytest.mark.parametrize("format", [name for name, of in FORMATS.items() if of.encoding != "plain"])
def test_a_hash_is_never_hashed_again(format: str) -> None:
    for value in ("a@b.de", "+16505551212", "Berlin", "de", "f", "10"):
        once = normalise(format, value)
        if once:
            assert normalise(format, once) == once
            if FORMATS[format].encoding != "sha256_base64":
                assert normalise(format, once.upper()) == once


@given(format=st.sampled_from(sorted(FORMATS)), value=st.text() | st.integers() | st.floats() | st.booleans())
@example(format="meta_first_name", value="\u0301")
@example(format="phone", value="+" * 300)
def test_whatever_is_given_is_something_or_nothing(format: str, value: object) -> None:
    said = normalise(format, value, "US")
    assert said is None or said
    assert said not in (sha(""), hashlib.md5(b"").hexdigest(), base64.b64encode(hashlib.sha256(b"").digest()).decode())
    if said is not None and FORMATS[format].encoding == "plain":
        assert normalise(format, said, "US") == said


def test_its_version_changes_with_the_numbers_that_it_knows() -> None:
    assert re.fullmatch(r"\d+/\d+\.\d+\.\d+", VERSION)


def test_every_destination_asks_for_formats_that_there_are() -> None:
    for kind in DESTINATIONS.values():
        assert not set(kind.identifiers.values()) - FORMATS.keys(), kind.kind
