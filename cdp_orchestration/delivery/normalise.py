"""How each vendor wants identifiers written: one table, so that no destination does it on its own.

A format is a name, `<vendor>_<kind>` or a general one; FORMATS says what each makes of a value. What is nothing (empty, a
placeholder, no number that could be dialled) becomes None and is never hashed; what is a hash already is never hashed again.
A person is removed by what was sent when he was added, so VERSION, which changes when a rule or the phone numbers' metadata
does, is part of every payload's hash. Sources: the vendors' published rules; where two of a vendor's own tools disagree, the
published one.
"""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import phonenumbers

VERSION = f"1/{phonenumbers.__version__}"
_NOTHING = {"", "null", "none", "nil", "nan", "undefined", "n/a", "na", "unknown", "-"}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_INVISIBLE = ("Zs", "Zl", "Zp", "Cc", "Cf")
_GMAIL = ("gmail.com", "googlemail.com")

Rule = Callable[[str, str | None], str | None]


@dataclass(frozen=True)
class Format:
    """`rule` makes the text, `encoding` what is sent of it: plain, sha256 (hex), md5 (hex) or sha256_base64."""

    rule: Rule
    encoding: str
    description: str


def normalise(format: str, value: object, default_region: str | None = None) -> str | None:
    """A value in that format; None where it is nothing. default_region: of phone numbers without a country, e.g. DE.

    Raises KeyError for a format that is not in FORMATS.
    """
    wanted = FORMATS[format]
    if value is None:
        return None
    text = _trimmed(unicodedata.normalize("NFC", str(value)))
    if text.lower() in _NOTHING:
        return None
    if wanted.encoding != "plain" and _is_hash(text, wanted.encoding):
        return text if wanted.encoding == "sha256_base64" else text.lower()
    said = wanted.rule(text, default_region)
    return _ENCODINGS[wanted.encoding](said.encode()) if said else None


def _trimmed(text: str) -> str:
    """Without spaces at its ends, nor what has no width."""
    ends = {place for place, sign in enumerate(text) if unicodedata.category(sign) not in _INVISIBLE}
    return text[min(ends) : max(ends) + 1] if ends else ""


def _is_hash(text: str, encoding: str) -> bool:
    shape = {"sha256": r"[0-9a-fA-F]{64}", "md5": r"[0-9a-fA-F]{32}", "sha256_base64": r"[A-Za-z0-9+/]{43}="}[encoding]
    return re.fullmatch(shape, text) is not None


_ENCODINGS: dict[str, Callable[[bytes], str]] = {
    "plain": bytes.decode,
    "sha256": lambda data: hashlib.sha256(data).hexdigest(),
    "md5": lambda data: hashlib.md5(data).hexdigest(),
    "sha256_base64": lambda data: base64.b64encode(hashlib.sha256(data).digest()).decode(),
}


def _as_it_is(text: str, _: str | None) -> str | None:
    return text


def _lower(text: str, _: str | None) -> str | None:
    return text.lower()


def _email(text: str, _: str | None) -> str | None:
    text = text.lower()
    return text if _EMAIL.fullmatch(text) else None


def _gmail(text: str, region: str | None) -> str | None:
    """Of Gmail's addresses neither the dots nor what follows a plus say who it is."""
    email = _email(text, region)
    if email is None:
        return None
    local, _, domain = email.rpartition("@")
    if domain in _GMAIL:
        local = local.partition("+")[0].replace(".", "")
    return f"{local}@{domain}" if local else None


def _phone(text: str, region: str | None) -> str | None:
    """E.164 with its plus."""
    if text.startswith("00"):
        text = f"+{text[2:]}"
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None  # also where it could be dialled in its own town alone
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _phone_digits(text: str, region: str | None) -> str | None:
    phone = _phone(text, region)
    return phone and phone[1:]


def _without(categories: str, text: str) -> str:
    return "".join(sign for sign in text if unicodedata.category(sign)[0] not in categories)


def _name(text: str, _: str | None) -> str | None:
    return " ".join(_without("PS", text.lower()).split()) or None


def _spaceless(text: str, _: str | None) -> str | None:
    return _without("PSNZ", text.lower()) or None


def _ascii(text: str, _: str | None) -> str | None:
    return re.sub(r"[^a-z0-9]", "", text.lower()) or None


def _state(text: str, region: str | None) -> str | None:
    return _US_STATES.get(" ".join(text.lower().split())) or _spaceless(text, region)


def _zip(text: str, _: str | None) -> str | None:
    text = "".join(text.lower().split())
    return text.partition("-")[0][:5] if re.fullmatch(r"\d{5}(-?\d{4})?", text) else text.partition("-")[0] or None


def _country(text: str, _: str | None) -> str | None:
    return text.lower() if re.fullmatch("[A-Za-z]{2}", text) else None


def _upper_country(text: str, region: str | None) -> str | None:
    country = _country(text, region)
    return country and country.upper()


def _gender(text: str, _: str | None) -> str | None:
    return {"f": "f", "female": "f", "m": "m", "male": "m"}.get(text.lower())


def _number(width: int, least: int, most: int) -> Rule:
    def rule(text: str, _: str | None) -> str | None:
        if not re.fullmatch(r"0*\d{1,4}", text) or not least <= int(text) <= most:
            return None
        return f"{int(text):0{width}d}"

    return rule


_STATES = (
    "alabama al, alaska ak, arizona az, arkansas ar, california ca, colorado co, connecticut ct, delaware de, "
    "district of columbia dc, florida fl, georgia ga, hawaii hi, idaho id, illinois il, indiana in, iowa ia, kansas ks, "
    "kentucky ky, louisiana la, maine me, maryland md, massachusetts ma, michigan mi, minnesota mn, mississippi ms, "
    "missouri mo, montana mt, nebraska ne, nevada nv, new hampshire nh, new jersey nj, new mexico nm, new york ny, "
    "north carolina nc, north dakota nd, ohio oh, oklahoma ok, oregon or, pennsylvania pa, rhode island ri, "
    "south carolina sc, south dakota sd, tennessee tn, texas tx, utah ut, vermont vt, virginia va, washington wa, "
    "west virginia wv, wisconsin wi, wyoming wy"
)
_US_STATES = {name: code for name, _, code in (state.rpartition(" ") for state in _STATES.split(", "))}

FORMATS: dict[str, Format] = {
    "plain": Format(_as_it_is, "plain", "as it is, trimmed"),
    "lower": Format(_lower, "plain", "lower case"),
    "email": Format(_email, "plain", "lower case"),
    "phone": Format(_phone, "plain", "E.164, with its plus"),
    "email_sha256": Format(_email, "sha256", "lower case, SHA-256"),
    "email_md5": Format(_email, "md5", "lower case, MD5"),
    "phone_sha256": Format(_phone, "sha256", "E.164 with its plus, SHA-256"),
    "meta_email": Format(_email, "sha256", "lower case, SHA-256"),
    "meta_phone": Format(_phone_digits, "sha256", "digits with the country's code, SHA-256"),
    "meta_first_name": Format(_name, "sha256", "lower case without punctuation, any letters, SHA-256"),
    "meta_last_name": Format(_name, "sha256", "lower case without punctuation, any letters, SHA-256"),
    "meta_city": Format(_spaceless, "sha256", "lower case letters alone, SHA-256"),
    "meta_state": Format(_state, "sha256", "lower case letters alone; of the US two, SHA-256"),
    "meta_zip": Format(_zip, "sha256", "lower case without spaces, up to a hyphen; of the US five digits, SHA-256"),
    "meta_country": Format(_country, "sha256", "two letters in lower case, SHA-256"),
    "meta_gender": Format(_gender, "sha256", "f or m, SHA-256"),
    "meta_birth_year": Format(_number(4, 1900, 2100), "sha256", "four digits, SHA-256"),
    "meta_birth_month": Format(_number(2, 1, 12), "sha256", "two digits, SHA-256"),
    "meta_birth_day": Format(_number(2, 1, 31), "sha256", "two digits, SHA-256"),
    "meta_external_id": Format(_as_it_is, "plain", "as it is: Meta wants it unhashed here"),
    "meta_mobile_ad_id": Format(_lower, "plain", "lower case: Meta wants it unhashed"),
    "google_email": Format(_gmail, "sha256", "lower case, of Gmail without dots and +…, SHA-256"),
    "google_phone": Format(_phone, "sha256", "E.164 with its plus, SHA-256"),
    "google_first_name": Format(_lower, "sha256", "lower case, SHA-256"),
    "google_last_name": Format(_lower, "sha256", "lower case, SHA-256"),
    "google_country": Format(_upper_country, "plain", "two letters in upper case"),
    "google_zip": Format(_as_it_is, "plain", "trimmed"),
    "google_mobile_ad_id": Format(_as_it_is, "plain", "as it is"),
    "tiktok_email": Format(_email, "sha256", "lower case, SHA-256"),
    "tiktok_phone": Format(_phone, "sha256", "E.164 with its plus, SHA-256"),
    "snap_email": Format(_email, "sha256", "lower case, SHA-256"),
    "snap_phone": Format(_phone_digits, "sha256", "digits with the country's code, SHA-256"),
    "pinterest_email": Format(_email, "sha256", "lower case, SHA-256"),
    "pinterest_mobile_ad_id": Format(_lower, "sha256", "lower case, SHA-256"),
    "linkedin_email": Format(_email, "sha256", "lower case, SHA-256"),
    "amazon_email": Format(_email, "sha256", "lower case, SHA-256"),
    "amazon_phone": Format(_phone_digits, "sha256", "digits with the country's code, SHA-256"),
    "amazon_first_name": Format(_ascii, "sha256", "a to z and digits alone, SHA-256"),
    "amazon_last_name": Format(_ascii, "sha256", "a to z and digits alone, SHA-256"),
    "amazon_city": Format(_ascii, "sha256", "a to z and digits alone, SHA-256"),
    "amazon_zip": Format(_ascii, "sha256", "a to z and digits alone, SHA-256"),
    "criteo_email": Format(_email, "md5", "lower case, MD5"),
    "ttd_email": Format(_gmail, "sha256_base64", "lower case, of Gmail without dots and +…, SHA-256 in base64"),
    "ttd_phone": Format(_phone, "sha256_base64", "E.164 with its plus, SHA-256 in base64"),
}
