"""Judges requests by a vendor's own OpenAPI document (2.0 to 3.1)."""

import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema
import referencing
from referencing.jsonschema import DRAFT202012

from tests.support.harness import SHARED
from tests.support.stand_in import Request

FOLDER = SHARED / "vendor-specs"
_URN = "urn:spec"


class VendorSpec:
    """`base` is what stands before the document's paths in an address, e.g. /3.0."""

    def __init__(self, file: str, base: str = "") -> None:
        self.file: Path = FOLDER / file
        self.base = base

    @cached_property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = _plain(json.loads(self.file.read_text()))
        return document

    @cached_property
    def _registry(self) -> referencing.Registry:
        resource = referencing.Resource.from_contents(self.document, default_specification=DRAFT202012)
        return referencing.Registry().with_resource(_URN, resource)

    def faults(self, request: Request) -> list[str]:
        """What the document has against a request; empty: nothing."""
        found = self._operation(request)
        if isinstance(found, str):
            return [found]
        template, operation, parameters = found
        return [
            *self._parameter_faults(request, parameters),
            *self._body_faults(request, template, operation, parameters),
        ]

    def _operation(self, request: Request) -> tuple[str, dict[str, Any], list[dict[str, Any]]] | str:
        path = request.path.removeprefix(self.base)
        matches = [t for t in self.document["paths"] if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", t), path)]
        if not matches or not request.path.startswith(self.base):
            return f"no such path: {request.path}"
        template = min(matches, key=lambda t: t.count("{"))
        item = self.document["paths"][template]
        operation = item.get(request.method.lower())
        if operation is None:
            return f"no such method: {request.method} {template}"
        parameters = [self._resolved(p) for p in (*item.get("parameters", []), *operation.get("parameters", []))]
        return template, operation, parameters

    def _parameter_faults(self, request: Request, parameters: list[dict[str, Any]]) -> list[str]:
        faults = []
        known = {p["name"] for p in parameters if p["in"] == "query"}
        for parameter in parameters:
            name = parameter["name"]
            present = {"query": name in request.query, "header": name.lower() in request.headers}
            if parameter.get("required") and not present.get(parameter["in"], True):
                faults.append(f"{parameter['in']} parameter '{name}' is missing")
        return faults + [f"unknown query parameter '{name}'" for name in request.query if name not in known]

    def _body_faults(
        self, request: Request, template: str, operation: dict[str, Any], parameters: list[dict[str, Any]]
    ) -> list[str]:
        in_body = next((p for p in parameters if p["in"] == "body"), None)  # OpenAPI 2.0
        if in_body is not None:
            schema, required = in_body["schema"], in_body.get("required", False)
        else:
            described = self._resolved(operation.get("requestBody") or {})
            content = described.get("content") or {}
            media = request.headers.get("content-type", "").split(";")[0].strip()
            if request.body and content and media not in content:
                return [f"content type {media!r} instead of {', '.join(content)}"]
            chosen = content.get(media) or next(iter(content.values()), {})
            schema, required = chosen.get("schema"), described.get("required", False)
        if not request.body:
            return ["the body is missing"] if required else []
        if schema is None:
            return [] if request.method == "DELETE" else ["a body where none is described"]
        try:
            body = json.loads(request.body)
        except ValueError:
            return ["the body is no JSON"]
        validator = jsonschema.Draft202012Validator(
            _based(schema), registry=self._registry, format_checker=jsonschema.FormatChecker()
        )
        return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(body)]

    def _resolved(self, value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            found: Any = self.document
            for part in value["$ref"].removeprefix("#/").split("/"):
                found = found[part.replace("~1", "/").replace("~0", "~")]
            value = found
        return value


def _plain(value: Any) -> Any:
    """OpenAPI's dialect as JSON Schema: nullable is a type, examples and discriminators say nothing."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _plain(item) for key, item in value.items()}
    if plain.pop("nullable", False) is True:
        if isinstance(plain.get("type"), str):
            plain["type"] = [plain["type"], "null"]
        if isinstance(plain.get("enum"), list) and None not in plain["enum"]:
            plain["enum"] = [*plain["enum"], None]
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(plain.get(bound), bool) and plain.pop(bound):  # a flag until OpenAPI 3.1
            plain[bound] = plain.pop(limit)
    return plain


def _based(value: Any) -> Any:
    """Local references as references into the document."""
    if isinstance(value, list):
        return [_based(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _URN + item if key == "$ref" and isinstance(item, str) and item.startswith("#") else _based(item)
        for key, item in value.items()
    }
