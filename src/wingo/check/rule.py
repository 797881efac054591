'''Rules: a number, a severity, what they need, and the function that looks.

A rule is made by a decorator; its docstring is its page of documentation:

```
@layer_rule("WGO105", Severity.ERROR, Group.NAMES, os="windows")
def parents_first(layer: LayerSubject) -> Iterator[Problem]:
    """Every directory has an entry of its own, before what is in it.

    Why:
        ...

Example:
        ...
    Mend:
        ...
    """
```
'''

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import msgspec

from wingo.check.finding import Finding, Problem, Severity, Where

if TYPE_CHECKING:
    from wingo.check.policy import WaiverSubject
    from wingo.check.subject import ArtifactSubject, ImageSubject, LayerSubject

S = TypeVar("S")


class Group(Enum):
    """What a rule is about; its heading in the documentation."""

    NAMES = "names in a layer"
    RECORDS = "records of a layer's entries"
    ACCESS = "who may do what"
    LINKS = "links and removals"
    CONFIG = "config and manifest"
    INDEX = "index"
    START = "starting"
    LIBRARIES = "what a program loads"
    GO = "Go"
    SIZE = "size"
    SECRETS = "secrets and hygiene"
    DOCKERFILE = "Dockerfiles"
    WAIVERS = "waivers"
    POLICY = "capabilities and policy"
    HOSTS = "hosts"


class Needs(Enum):
    """What must be at hand for a rule to run."""

    DOCUMENTS = "manifests and configs"
    OUR_LAYERS = "the layers above the base"
    BASE_FILES = "the files of the whole image, base included"
    BINARIES = "the program"
    SOURCE = "a Dockerfile"


class Scope(Enum):
    """What a rule looks at, one at a time."""

    LAYER = "layer"
    IMAGE = "image"
    ARTIFACT = "index or image"
    WAIVERS = "waivers"
    DOCKERFILE = "Dockerfile"


class Rule(msgspec.Struct, Generic[S], frozen=True, kw_only=True):
    """One rule.

    Attributes:
        id: `WGO` and three digits.
        severity: of what it finds, unless it or the user says otherwise.
        group: what it is about.
        scope: what it looks at.
        needs: what must be at hand.
        os: "windows" or "linux": only images of that system are looked at; "" for all.
        find: looks; pure.
    """

    id: str
    severity: Severity
    group: Group
    scope: Scope
    needs: Needs
    os: str
    find: Callable[[S], Iterable[Problem]]

    @property
    def title(self) -> str:
        """What should be so, in one sentence."""
        return inspect.getdoc(self.find).partition("\n\n")[0].replace("\n", " ")  # type: ignore[union-attr]

    @property
    def name(self) -> str:
        """The function's name, with hyphens: what SARIF calls the rule."""
        return self.find.__name__.replace("_", "-")

    @property
    def page(self) -> dict[str, str]:
        """The documentation by heading: "Why", "Example", "Mend"."""
        text = inspect.getdoc(self.find) or ""
        sections: dict[str, list[str]] = {}
        current: list[str] = []
        for line in text.splitlines():
            if line and not line.startswith(" ") and line.endswith(":") and " " not in line:
                current = sections.setdefault(line[:-1], [])
            else:
                current.append(line.removeprefix("    "))
        return {heading: "\n".join(lines).strip() for heading, lines in sections.items()}


def rule(
    id: str, severity: Severity, group: Group, *, scope: Scope, needs: Needs, os: str = ""
) -> Callable[[Callable[[S], Iterable[Problem]]], Rule[S]]:
    """Makes a rule of the function below it."""

    def decorate(find: Callable[[S], Iterable[Problem]]) -> Rule[S]:
        return Rule(id=id, severity=severity, group=group, scope=scope, needs=needs, os=os, find=find)

    return decorate


_Decorator: TypeAlias = Callable[[Callable[[S], Iterable[Problem]]], Rule[S]]


def layer_rule(id: str, severity: Severity, group: Group, *, os: str = "") -> _Decorator[LayerSubject]:
    """A rule for one of our layers, whatever images it is in."""
    return rule(id, severity, group, scope=Scope.LAYER, needs=Needs.OUR_LAYERS, os=os)


def image_rule(
    id: str, severity: Severity, group: Group, *, needs: Needs = Needs.DOCUMENTS, os: str = ""
) -> _Decorator[ImageSubject]:
    """A rule for one image."""
    return rule(id, severity, group, scope=Scope.IMAGE, needs=needs, os=os)


def artifact_rule(
    id: str, severity: Severity, group: Group, *, needs: Needs = Needs.DOCUMENTS
) -> _Decorator[ArtifactSubject]:
    """A rule for everything at one place."""
    return rule(id, severity, group, scope=Scope.ARTIFACT, needs=needs)


def waiver_rule(id: str, severity: Severity) -> _Decorator[WaiverSubject]:
    """A rule for what the user says of findings."""
    return rule(id, severity, Group.WAIVERS, scope=Scope.WAIVERS, needs=Needs.DOCUMENTS)


def apply(rules: Iterable[Rule[S]], subject: S, where: Where) -> Iterable[Finding]:
    """What rules find wrong with one subject."""
    for item in rules:
        for problem in item.find(subject):
            yield Finding(
                rule=item.id,
                severity=problem.severity or item.severity,
                message=problem.message,
                where=msgspec.structs.replace(
                    where,
                    path=problem.path or where.path,
                    line=problem.line or where.line,
                    layer=problem.layer or where.layer,
                    platforms=problem.platforms or where.platforms,
                ),
                hint=problem.hint,
                win=problem.win,
            )
