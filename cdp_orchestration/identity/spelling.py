"""How the warehouse spells an identifier (dbt_project/macros/spelling.sql), for what Python asks: `cdp why`, `cdp profile`,
the operators' overrides. tests/identity/test_identity_spelling.py holds the two to each other, text for text."""

import re
import unicodedata
from typing import Any


def _class(*ranges: tuple[int, int]) -> str:
    return "[" + "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges) + "]"


BLANKS = re.compile(_class(
    (0x09, 0x0D), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029),
    (0x202F, 0x202F), (0x205F, 0x205F), (0x2800, 0x2800), (0x3000, 0x3000)))  # fmt: skip
INVISIBLE = re.compile(_class(
    (0x01, 0x08), (0x0E, 0x1F), (0x7F, 0x84), (0x86, 0x9F), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160),
    (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF)))  # fmt: skip
SEPARATORS = re.compile(
    r"[\]\[ ()./{}_\-"
    "\u00b7\u058a\u05be\u2010-\u2015\u2022\u2024\u2027\u2043\u2212\u2e3a\u2e3b\u301c\u3030\u30fb\u30fc]+"
)
# Characters of full, half and small width, and the ligatures of typesetting.
NARROW = {
    code: "".join(chr(int(part, 16)) for part in unicodedata.decomposition(chr(code)).split()[1:])
    for code in (*range(0xFF01, 0xFFEF), *range(0xFE50, 0xFE70))
    if unicodedata.decomposition(chr(code)).startswith(("<wide>", "<narrow>", "<small>"))
} | dict(zip(range(0xFB00, 0xFB07), ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True))


def spelled_text(value: str) -> str:
    """Nothing without width, plain blanks and none at the ends, usual width, Unicode's form NFC."""
    text = INVISIBLE.sub("", value)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.translate(NARROW))
    return BLANKS.sub(" ", text).strip(" ")


def lower_text(text: str) -> str:
    """Lower case letter by letter: the dotted I of Turkish is i, the sigma that ends a word a sigma."""
    if text.isascii():
        return text.lower()
    lowered = "".join(letter.lower() for letter in text.replace("İ", "i"))
    return unicodedata.normalize("NFC", lowered.replace("ς", "σ")).replace("i\u0307", "i")


def spelled_email(value: str) -> str:
    text = lower_text(spelled_text(value))
    for pattern, by in (
        (r"^'(.*)'\Z", r"\1"), (r'^"([^"]*)"\Z', r"\1"), (r"^[^<>]*<([^<>]*)>\Z", r"\1"), (r"^ *mailto:([^?]*)([?].*)?\Z", r"\1")
    ):  # fmt: skip
        text = re.sub(pattern, by, text)
    return text.strip(" ")


def spelled_phone(value: str, calling_code: str) -> str:
    """E.164 digits without the plus; what is no number, as it is."""
    text = spelled_text(value)
    digits = "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in text)
    digits = re.sub(r"^['’`´]*([Tt][Ee][Ll]:)? *", "", digits)
    digits = re.sub(r"^([+]?[0-9]{7,})[.]0+\Z", r"\1", digits)
    digits = re.sub(r"^([ (]*([+]|00).*)[(] *0 *[)]", r"\1", digits)
    digits = SEPARATORS.sub("", digits)
    if calling_code:
        digits = re.sub(r"^0([1-9])", rf"{calling_code}\g<1>", digits)
    digits = re.sub(r"^([+]?00|[+])", "", digits)
    return digits if re.fullmatch(r"[0-9]+", digits) else text


def spelled(rules: dict[str, Any], identifier_type: str, value: str) -> tuple[str, str]:
    """An identifier as the warehouse spells it."""
    normalise = (rules["identifiers"].get(identifier_type) or {}).get("normalise")
    if normalise == "email":
        return identifier_type, spelled_email(value)
    if normalise == "phone":
        return identifier_type, spelled_phone(value, rules.get("calling_code") or "")
    text = spelled_text(value)
    return identifier_type, lower_text(text) if normalise == "lower" else text
