"""What the user does not want in programs: capabilities, packages, modules (`[policy]`), known vulnerabilities (`--vuln-db`)."""

from __future__ import annotations

from collections.abc import Iterator

from wingo.binary.buildinfo import Module
from wingo.check.capabilities import BY_NAME
from wingo.check.demands import imports_key, is_below
from wingo.check.finding import Problem, Severity
from wingo.check.imports import ImportGraph
from wingo.check.rule import Group, Needs, image_rule
from wingo.check.rules.go import GoProgram, go_programs
from wingo.check.subject import ImageSubject
from wingo.check.vulnerabilities import Contents, Match, reached

_SHOWN = 3


@image_rule("WGO601", Severity.ERROR, Group.POLICY, needs=Needs.OUR_LAYERS)
def no_denied_capability(image: ImageSubject) -> Iterator[Problem]:
    """No program can do what `[policy]` denies.

    Why:
        What a program can do is what whoever takes it over can do. The linker drops what cannot be reached, so a
        capability that is there was asked for by some package, which may be one that nobody looked at.

    Example:
        `deny = ["exec"]`, and an update of a library that now starts `git`.
    Mend:
        Do without the package that brings it, or allow it: `[policy.allow] exec = ["example.com/package"]`.
    """
    demands = image.demands
    for program in go_programs(image) if demands.capabilities else ():
        graph = _graph(image, program)
        found = {each.name: each for each in program.inspected.capabilities}
        for name in demands.capabilities:
            if name == "unsafe":
                yield from _unsafe(image, program, graph)
                continue
            capability = found.get(name)
            if capability is None:
                continue
            allowed = demands.allow.get(name, ())
            bringing = [each for each in capability.packages if not any(is_below(each, top) for top in allowed)]
            if capability.packages and not bringing:
                continue
            by = "; ".join(_way(each, graph) for each in bringing[:_SHOWN])
            more = f", and {len(bringing) - _SHOWN} more" if len(bringing) > _SHOWN else ""
            yield Problem(
                message=f"{program.path} {BY_NAME[name].what} ({name}), which the policy denies"
                + (f"; brought by {by}{more}" if by else f"; it has {capability.functions[0]}"),
                hint="Do without the package that brings it, or allow it in [policy.allow].",
                path=program.path,
            )


def _unsafe(image: ImageSubject, program: GoProgram, graph: ImportGraph | None) -> Iterator[Problem]:
    if graph is None:
        return  # WGO603 says so
    allowed = image.demands.allow.get("unsafe", ())
    packages = [each for each in graph.importers("unsafe") if not any(is_below(each, top) for top in allowed)]
    if packages:
        more = f", and {len(packages) - _SHOWN} more" if len(packages) > _SHOWN else ""
        yield Problem(
            message=f"{program.path} has packages that import unsafe, which the policy denies: "
            + "; ".join(_way(each, graph) for each in packages[:_SHOWN])
            + more,
            hint="Do without them, or allow them: [policy.allow] unsafe = [...].",
            path=program.path,
        )


@image_rule("WGO602", Severity.ERROR, Group.POLICY, needs=Needs.OUR_LAYERS)
def no_denied_package(image: ImageSubject) -> Iterator[Problem]:
    """No program has a package or module that `[policy]` denies.

    Why:
        Some packages are not wanted whatever they do: `net/http/pprof` in what is public, a library that is no longer
        looked after, a licence.

    Example:
        `deny = ["net/http/pprof"]`, and a library that imports it for its side effect.
    Mend:
        Find who imports it with `go mod why` and do without.
    """
    for program in go_programs(image) if image.demands.paths else ():
        packages = program.inspected.packages
        modules = {each.path: each.version for each in program.info.deps}
        if program.info.main is not None:
            modules[program.info.main.path] = program.info.main.version
        graph = _graph(image, program)
        for denied in image.demands.paths:
            hit = sorted(each for each in packages if is_below(each, denied))
            module = next((each for each in modules if is_below(each, denied)), "")
            if hit or module:
                what = f"the module {module} {modules[module]}" if module else f"the package {hit[0]}"
                way = (
                    f" ({' → '.join(graph.chain(hit[0]))})" if graph is not None and hit and graph.chain(hit[0]) else ""
                )
                yield Problem(
                    message=f"{program.path} has {what}{way}, which the policy denies",
                    hint="Ask go mod why, and do without.",
                    path=program.path,
                )


@image_rule("WGO603", Severity.WARNING, Group.POLICY, needs=Needs.OUR_LAYERS)
def policy_can_be_judged(image: ImageSubject) -> Iterator[Problem]:
    """What `[policy]` denies can be told of every program.

    Why:
        Only a Go program carries the table of its functions, and of `unsafe` only the sources tell. A policy that cannot
        be judged is none.

    Example:
        `deny = ["exec"]` and a C program in the image; `deny = ["unsafe"]` without sources.
    Mend:
        Build with wingo, or give the sources with `--sources`; leave foreign programs out.
    """
    if not image.demands.deny:
        return
    for path in sorted(image.binaries):
        binary = image.binaries[path]
        if binary.inspected is None or (binary.inspected.functions is None and binary.inspected.facts.entry):
            yield Problem(
                message=f"what {path} can do cannot be told: it is no Go program, or its table of functions is damaged",
                hint="Leave it out, or build it with Go.",
                path=path,
            )
    if "unsafe" in image.demands.deny:
        for program in go_programs(image):
            if _graph(image, program) is None:
                yield Problem(
                    message=f"whether {program.path} has packages that import unsafe cannot be told without sources",
                    hint="Give them with --sources, or build with wingo.",
                    path=program.path,
                )


@image_rule("WGO311", Severity.WARNING, Group.GO, needs=Needs.OUR_LAYERS)
def standard_library_not_vulnerable(image: ImageSubject) -> Iterator[Problem]:
    """No known vulnerability of Go's standard library is in the program.

    Why:
        Go's own packages are compiled in: a program keeps their faults until it is built again.

    Example:
        A program of Go 1.26.0 that serves HTTP/2, with `--vuln-db vulndb.zip`.
    Mend:
        Build with the Go that the finding names, or a later one.
    """
    if image.demands.vulnerabilities is None:
        return
    for program in go_programs(image):
        for match in image.demands.vulnerabilities.matches("stdlib", program.info.go_version):
            yield from _vulnerable(program, match, program.info.go_version, "Build it with go")


@image_rule("WGO312", Severity.WARNING, Group.GO, needs=Needs.OUR_LAYERS)
def modules_not_vulnerable(image: ImageSubject) -> Iterator[Problem]:
    """No known vulnerability of a module is in the program.

    Why:
        As for Go's own packages; the database knows thousands of modules.

    Example:
        golang.org/x/net v0.20.0, with `--vuln-db vulndb.zip`.
    Mend:
        `go get MODULE@VERSION` with the version that the finding names.
    """
    if image.demands.vulnerabilities is None:
        return
    for program in go_programs(image):
        own = () if program.info.main is None else (program.info.main,)
        for module in (*own, *program.info.deps):
            used = module.replace or module
            what, mend = f"{used.path} {used.version}", f"go get {used.path}@v"
            for match in image.demands.vulnerabilities.matches(used.path, used.version):
                yield from _vulnerable(program, match, what, mend, module)


def _vulnerable(
    program: GoProgram, match: Match, what: str, mend: str, module: Module | None = None
) -> Iterator[Problem]:
    vulnerability = match.vulnerability
    names = ", ".join((vulnerability.id, *(each for each in vulnerability.aliases if each.startswith("CVE-"))))
    where = ""
    severity = None
    if program.functions is not None:
        instead = module.replace.path if module is not None and module.replace is not None else ""
        found = reached(match, _contents(program), module.path if module is not None else "", instead)
        if not found:
            return
        where = f"; it has {found[0]}" if found[0] else ""
    else:
        severity = Severity.NOTE
        where = "; whether it has the functions cannot be told"
    yield Problem(
        message=f"{program.path}: {names} in {what}: {vulnerability.summary[:200]}{where}",
        hint=f"{mend}{match.fixed} or later." if match.fixed else "No version without it is known.",
        path=program.path,
        severity=severity,
    )


def _contents(program: GoProgram) -> Contents:
    inspected, facts = program.inspected, program.inspected.facts
    goos = program.info.setting("GOOS") or facts.os
    return Contents(
        inspected.names,
        inspected.packages,
        inspected.modules,
        program.info.path,
        goos,
        program.info.setting("GOARCH") or facts.arch,
    )


def _graph(image: ImageSubject, program: GoProgram) -> ImportGraph | None:
    """The imports of this program; None when its sources are not at hand."""
    return image.demands.imports.get(imports_key(program.info))


def _way(package: str, graph: ImportGraph | None) -> str:
    chain = graph.chain(package) if graph is not None else ()
    return " → ".join(chain) if len(chain) > 1 else package
