"""Findings as SARIF 2.1.0 (OASIS standard), for code scanning of forges and editors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from wingo.check.finding import Finding, Severity
from wingo.check.rule import Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def to_sarif(findings: Sequence[Finding], rules: Mapping[str, Rule[Any]], version: str) -> str:
    """A SARIF log of one run.

    A finding's place is an artifact: the image reference or path as a URI, the entry of the layer as a logical location;
    a Dockerfile has its line.

    Args:
        findings: in order.
        rules: by number, those that the findings name at least.
        version: wingo's.
    """
    used = sorted({finding.rule for finding in findings})
    numbers = {name: number for number, name in enumerate(used)}
    driver = {
        "name": "wingo",
        "version": version,
        "semanticVersion": version,
        "rules": [_descriptor(name, rules.get(name)) for name in used],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, numbers[finding.rule]) for finding in findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=True)


def _descriptor(name: str, rule: Rule[Any] | None) -> dict[str, object]:
    if rule is None:
        return {"id": name}
    page = rule.page
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": _one_line(page.get("Why", rule.title))},
        "help": {"text": _one_line(page.get("Mend", rule.title))},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": [rule.group.value, rule.scope.value]},
    }


def _result(finding: Finding, number: int) -> dict[str, object]:
    where = finding.where
    text = finding.message + (f" {finding.hint}" if finding.hint else "")
    physical: dict[str, object] = {"artifactLocation": {"uri": _uri(where.path if where.line else where.place)}}
    if where.line:
        physical["region"] = {"startLine": where.line}
    location: dict[str, object] = {"physicalLocation": physical}
    if not where.line and (where.path or where.layer):
        name = where.path or where.layer
        logical = {"name": name.rpartition("/")[2] or name, "fullyQualifiedName": name, "kind": "resource"}
        location["logicalLocations"] = [logical]
    properties = {"platforms": list(where.platforms), "layer": where.layer, "digest": where.digest, "win": finding.win}
    result: dict[str, object] = {
        "ruleId": finding.rule,
        "ruleIndex": number,
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [location],
        "properties": {name: value for name, value in properties.items() if value},
    }
    if finding.waived:
        result["suppressions"] = [{"kind": "external", "justification": finding.waived}]
    return result


def _uri(text: str) -> str:
    """A place as a URI reference: everything that RFC 3986 does not allow is percent-encoded."""
    safe = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/@+=,")
    encoded = "".join(
        character
        if character in safe
        else "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))
        for character in text
    )
    return encoded or "image"


def _one_line(text: str) -> str:
    return " ".join(text.split())
