"""`wingo optimize`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import CHECKS_FAILED, OK
from wingo.cli.flags import add_output, add_settings, settings_of
from wingo.cli.render import one_line
from wingo.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wingo.host import Host
    from wingo.oci.place import Place
    from wingo.pipeline.optimizing import AnalysedImage, PlannedImage, Undo, VerifiedImage, Wanted
    from wingo.pipeline.places import Places
    from wingo.windows.profile import Step

_DESCRIPTION = """\
Makes the registry of Windows images smaller in what it starts: services that no container needs are disabled, settings of
use are set. Six steps, each a command of its own or a part of apply: analyze the structure and what is redundant in it,
plan from profiles, back up, apply, verify; undo brings the former digest back.

PLACE is an image or an index: oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE or REGISTRY/NAME:TAG. Of an index, every
Windows image is changed, and the others stay. What is applied is one layer directly on the base's last layer; the
application's layers lie on it as before. The backup, FILE.undo.json and FILE.undo.reg, is written beside the result.
"""

_EPILOG = """\
examples:
  wingo optimize analyze oci:app
  wingo optimize plan oci:app --profile web
  wingo optimize apply oci:app --profile web --disable-service Spooler -o oci:smaller
  wingo optimize verify oci:smaller
  wingo optimize undo oci:smaller -o oci:app

No change is applied that would keep a service from starting that stays, or that a container would not notice.
The result is experimental until a Windows host has merged it: docs/explanation/windows-fidelity.md says what is known.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo optimize`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)

    def action(name: str, summary: str, *, writes: bool = False, changes: bool = False) -> argparse.ArgumentParser:
        made = actions.add_parser(
            name, help=summary, description=summary[:1].upper() + summary[1:] + ".", allow_abbrev=False
        )
        if name != "profiles":
            made.add_argument("place", metavar="PLACE", help="an image or an index")
        if changes:
            made.add_argument(
                "--profile",
                action="append",
                metavar="NAME|FILE.toml",
                help="what to change; minimal, when nothing else is asked for; see 'wingo optimize profiles'",
            )
            made.add_argument("--disable-service", action="append", metavar="NAME", help="disable this service as well")
            made.add_argument(
                "--reg", action="append", metavar="FILE.reg", help="make the changes of this file as well"
            )
            made.add_argument("--platform", metavar="PLATFORM", help="the image for one platform only")
        if writes:
            made.add_argument("-o", "--output", metavar="PLACE", help="where the result goes")
        if name in ("apply", "verify", "undo"):
            made.add_argument(
                "--undo", metavar="FILE", help="the undo file; by default the one beside the result, named after it"
            )
        add_settings(made, everywhere_only=True)
        add_output(made)
        return made

    analyze = action("analyze", "tell what the registry is made of, and what in it is of no use", changes=True)
    analyze.add_argument("--html", metavar="FILE", help="write it as a page")
    action("plan", "tell what would be changed, and what speaks against it", changes=True)
    apply = action("apply", "back up, change, and read the result back", writes=True, changes=True)
    apply.add_argument(
        "--full-hive", metavar="DIR", help="write the base's hives there instead, rewritten whole; no image is made"
    )
    action("verify", "read a result anew, and compare it with what was meant")
    action("undo", "bring back what was there before; its digest is the former one", writes=True)
    action("profiles", "list the profiles that wingo brings along, with their rules")


def run(args: argparse.Namespace, host: Host) -> int:
    """Runs the action."""
    actions: dict[str, Callable[[argparse.Namespace, Host], int | None]] = {
        "analyze": _analyze,
        "plan": _plan,
        "apply": _apply,
        "verify": _verify,
        "undo": _undo,
        "profiles": _profiles,
    }
    return actions[args.action](args, host) or OK


def _analyze(args: argparse.Namespace, host: Host) -> None:
    from wingo.pipeline.optimizing import analyse_images

    with _places(args, host) as places:
        found = analyse_images(_source(args, host), args.platform or "", _wanted(args, host), places)
    if args.html:
        from wingo.cli.html.registry import registry_page

        host.write_text(args.html, registry_page(args.place, found))
        host.console.result(host.path(args.html))
        return
    if args.json:
        _print_json(found, host)
        return
    for image in found:
        for line in _analysis_lines(image):
            host.console.result(one_line(line))


def _plan(args: argparse.Namespace, host: Host) -> None:
    from wingo.pipeline.optimizing import plan_images

    with _places(args, host) as places:
        found = plan_images(_source(args, host), args.platform or "", _wanted(args, host), places)
    if args.json:
        _print_json(found, host)
        return
    for image in found:
        for line in _plan_lines(image):
            host.console.result(one_line(line))


def _apply(args: argparse.Namespace, host: Host) -> None:
    from wingo.pipeline.hives import target_place, write_whole
    from wingo.pipeline.optimizing import apply_to, encode_undo
    from wingo.pipeline.report import as_json
    from wingo.pipeline.request import source_date_epoch

    source, wanted = _source(args, host), _wanted(args, host)
    if args.full_hive:
        _full_hive(args, host, source, wanted)
        return
    if not args.output:
        raise RequestError("where is the result to go?", hint="Add -o PLACE, for instance -o oci:smaller.")
    target = target_place(args.output)
    undo_file = host.path(args.undo or _undo_name(target))
    kept: list[Undo] = []
    regs: list[str] = []

    def back_up(undo: Undo) -> None:
        kept.append(undo)
        if undo.former == undo.result:
            return
        _keep_former(undo_file, undo)
        write_whole(undo_file, encode_undo(undo))
        regs.extend(_write_regs(undo, undo_file))

    epoch = source_date_epoch(host.environment)
    with _places(args, host) as places:
        report = apply_to(source, args.platform or "", [target], wanted, places, epoch=epoch, back_up=back_up)
    (undo,) = kept
    for image in undo.images:
        done = [step for step in image.steps if step.edits]
        host.console.say(f"  {image.platform}: {len(done)} change(s)")
        for step in done:
            host.console.say(host.console.dim(one_line(f"    {step.subject}: {step.before} → {step.after}")))
    if undo.former == undo.result:
        host.console.note("nothing was to be changed; the result is what was there")
    else:
        host.console.say(f"  undo: {', '.join((undo_file, *regs))}")
    host.console.note("no Windows host has merged a layer of wingo's yet: try the image before you rely on it")
    if args.json:
        host.console.result(as_json(report))
        return
    for reference in report.references or tuple(f"{place}@{report.digest}" for place in report.places):
        host.console.result(reference)


def _full_hive(args: argparse.Namespace, host: Host, source: Place, wanted: Wanted) -> None:
    import os

    from wingo.pipeline.hives import write_whole
    from wingo.pipeline.optimizing import rewrite_hives

    if args.output:
        raise RequestError("--full-hive makes no image, so there is nothing for -o", hint="Leave one of them out.")
    with _places(args, host) as places:
        hives = rewrite_hives(source, args.platform or "", wanted, places)
    written = []
    for name, data in hives.items():
        path = os.path.join(host.path(args.full_hive), name)
        write_whole(path, data)
        written.append({"hive": name, "file": path, "size": len(data)})
    host.console.note(
        "a rewritten hive counts in the base's own layer only: in a layer above, Windows ignores it. A base with it has "
        "another digest, hosts have no copy of it, and Microsoft's licence may forbid to pass it on"
    )
    if args.json:
        _print_json(written, host)
        return
    for item in written:
        host.console.result(str(item["file"]))


def _verify(args: argparse.Namespace, host: Host) -> int:
    from wingo.pipeline.optimizing import verify_at

    source = _source(args, host)
    undo = _read_undo(args, host, source)
    with _places(args, host) as places:
        found = verify_at(source, undo, places)
    if args.json:
        _print_json(found, host)
    else:
        for image in found:
            for line in _verified_lines(image):
                host.console.result(one_line(line))
    return CHECKS_FAILED if any(image.differs for image in found) else OK


def _undo(args: argparse.Namespace, host: Host) -> None:
    from wingo.pipeline.hives import target_place
    from wingo.pipeline.optimizing import undo_at
    from wingo.pipeline.report import as_json

    source = _source(args, host)
    undo = _read_undo(args, host, source)
    if not args.output:
        raise RequestError("where is the former image to go?", hint=f"Add -o PLACE; it was at {undo.source}.")
    target = target_place(args.output)
    with _places(args, host) as places:
        report = undo_at(source, undo, [target], places)
    if args.json:
        host.console.result(as_json(report))
        return
    for reference in report.references or tuple(f"{place}@{report.digest}" for place in report.places):
        host.console.result(reference)


def _profiles(args: argparse.Namespace, host: Host) -> None:
    from wingo.pipeline.profiles import load_profiles, profile_names

    profiles = [load_profiles([name], host.read_text)[-1] for name in profile_names()]
    if args.json:
        _print_json(profiles, host)
        return
    for profile in profiles:
        extends = f" (with all of {', '.join(profile.extends)})" if profile.extends else ""
        host.console.result(f"{profile.name}: {profile.about}{extends}")
        for service in profile.services:
            host.console.result(f"  {service.start:<8} service {service.name}: {service.reason}")
        for value in profile.values:
            host.console.result(f"  {value.key}\\{value.name} = {value.data}: {value.reason}")


def _wanted(args: argparse.Namespace, host: Host) -> Wanted:
    from wingo.hive.regfile import parse_reg
    from wingo.pipeline.hives import read_hive_file
    from wingo.pipeline.optimizing import Wanted
    from wingo.pipeline.profiles import load_profiles
    from wingo.windows.profile import Profile, ServiceRule

    names = args.profile or ([] if args.disable_service or args.reg else ["minimal"])
    profiles = load_profiles(names, lambda path: host.read_text(host.path(path)))
    rules = tuple(
        ServiceRule(name=name, reason="asked for", source="--disable-service") for name in args.disable_service or ()
    )
    asked = (Profile("--disable-service", services=rules),) if rules else ()
    edits = tuple((file, parse_reg(read_hive_file(host.path(file)))) for file in args.reg or ())
    return Wanted((*profiles, *asked), edits)


def _source(args: argparse.Namespace, host: Host) -> Place:
    from wingo.pipeline.hives import image_place

    place = image_place(args.place, host.path(args.place))
    if place is None:
        raise RequestError(
            f"{args.place!r} is no image",
            hint=f"Write oci:{args.place}, or REGISTRY/NAME:TAG; 'wingo hive' is for files and directories of hives.",
        )
    return place


def _places(args: argparse.Namespace, host: Host) -> Places:
    from wingo.pipeline.places import Places

    own = argparse.Namespace(**{**vars(args), "platform": None, "output": None, "reg": None, "disable_service": None})
    return Places(host, settings_of(own, host))


def _undo_name(place: Place) -> str:
    """The undo file that belongs to a place: beside it, or here for one in a registry."""
    if place.reference is None:
        tag = f"-{place.tag}" if place.tag else ""
        return f"{place.path.rstrip('/')}{tag}.undo.json"
    return f"{place.reference.repository.rpartition('/')[2]}-{place.reference.tag or 'latest'}.undo.json"


def _read_undo(args: argparse.Namespace, host: Host, place: Place) -> Undo:
    import os

    from wingo.pipeline.hives import read_hive_file
    from wingo.pipeline.optimizing import decode_undo

    path = host.path(args.undo or _undo_name(place))
    if not os.path.exists(path):
        raise RequestError(f"there is no undo file {path}", hint="Name it with --undo FILE.")
    return decode_undo(read_hive_file(path), path)


def _keep_former(undo_file: str, undo: Undo) -> None:
    """A result that is changed again, in its place: what leads to the one before it is put aside, and lost to nobody."""
    import os

    from wingo.errors import WingoError
    from wingo.pipeline.hives import read_hive_file
    from wingo.pipeline.optimizing import decode_undo

    try:
        former = decode_undo(read_hive_file(undo_file), undo_file) if os.path.exists(undo_file) else None
    except WingoError:
        return
    if former is not None and former.result == undo.former and former.former != undo.result:
        os.replace(undo_file, f"{undo_file.removesuffix('.json')}-{former.result[7:19]}.json")


def _write_regs(undo: Undo, undo_file: str) -> list[str]:
    """The undo file's edits as .reg files, for people: one, where all images have the same."""
    from wingo.hive.regfile import encode_reg, format_edits
    from wingo.pipeline.hives import write_whole

    texts = {image.platform: format_edits(image.inverse) for image in undo.images if image.inverse}
    stem = undo_file.removesuffix(".json")
    if len(set(texts.values())) <= 1:
        named = {f"{stem}.reg": text for text in texts.values()}
    else:
        named = {f"{stem}.{_file_name(platform)}.reg": text for platform, text in texts.items()}
    for path, text in named.items():
        write_whole(path, encode_reg(text))
    return list(named)


def _file_name(platform: str) -> str:
    return "".join(char if char.isalnum() or char in ".-" else "-" for char in platform)


def _analysis_lines(image: AnalysedImage) -> list[str]:
    found = image.analysis
    lines = [f"{image.platform}  {image.digest}", ""]
    for hive in found.hives:
        whole = hive.whole
        lines.append(
            f"{hive.hive}: {whole.bytes:,} bytes, {whole.keys:,} keys, {whole.values:,} values, "
            f"{hive.empty_keys:,} empty keys, {hive.descriptors} descriptors"
        )
        lines.extend(f"  {part.bytes:>12,}  {part.keys:>7,} keys  {part.path}" for part in hive.subtrees)
    lines += ["", "services: " + ", ".join(f"{count} {word}" for word, count in found.counts.items())]
    lines.append(f"  {found.now.automatic} start by themselves, in {found.now.processes} processes if sharing ones do")
    own = [service for service in found.services if not service.driver and service.start in ("auto", "delayed-auto")]
    for service in own:
        kept = f"  kept: {service.kept}" if service.kept else ""
        needed = f"  needed by {', '.join(service.needed_by[:5])}" if service.needed_by else ""
        lines.append(f"  {service.start:<12} {service.name:<24} {service.process}{needed}{kept}")
    triggered = [service.name for service in found.services if service.triggers and service.start == "demand"]
    if triggered:
        lines.append(f"  started by triggers: {', '.join(triggered)}")
    dangling = [service for service in found.services if service.missing]
    if dangling:
        lines += ["", "what points nowhere:"]
        lines.extend(f"  {service.name} ({service.start}): {', '.join(service.missing)}" for service in dangling)
    if not found.files_known:
        lines.append("  (not every layer is at hand: files were not looked for)")
    if found.unnoticed:
        lines += ["", "what a container does not notice:"]
        lines.extend(f"  {text}" for text in found.unnoticed)
    return [*lines, "", *_steps_lines(image.steps, image.wins, image.objections, image.win), ""]


def _plan_lines(image: PlannedImage) -> list[str]:
    return [
        f"{image.platform}  {image.digest}",
        *_steps_lines(image.steps, image.wins, image.objections, image.win),
        "",
    ]


def _steps_lines(steps: Sequence[Step], wins: Sequence[str], objections: Sequence[str], win: str) -> list[str]:
    lines = ["what the profiles would change:"]
    for step, won in zip(steps, wins, strict=True):
        if step.edits:
            lines.append(f"  {step.subject}: {step.before} → {step.after}" + (f"  ({won})" if won else ""))
            lines.append(f"      {step.reason} [{step.source}]")
    if not any(step.edits for step in steps):
        lines.append("  nothing")
    skipped = [step for step in steps if step.skipped]
    if skipped:
        lines.append("nothing to do for:")
        lines.extend(f"  {step.subject}: {step.skipped}" for step in skipped)
    if objections:
        lines.append("REFUSED, for it is not safe:")
        lines.extend(f"  {text}" for text in objections)
    lines.append(f"what it wins, counted and not measured: {win}; the image gets larger by the layer's few KB")
    return lines


def _verified_lines(image: VerifiedImage) -> list[str]:
    before, after = image.before, image.after
    rows = [
        *((f"services {word}", before.services.get(word, 0), count) for word, count in after.services.items()),
        ("keys", before.keys, after.keys),
        ("values", before.values, after.values),
        ("bytes", before.bytes, after.bytes),
        ("bytes of the layer's hives", 0, image.delta_bytes),
    ]
    lines = [image.platform, f"  {'':<28}{'before':>14}{'after':>14}"]
    lines.extend(f"  {name:<28}{old:>14,}{new:>14,}" for name, old, new in rows)
    lines.append(
        "  " + ("NOT as meant, a bug of wingo's: " + ", ".join(image.differs) if image.differs else "as meant")
    )
    return lines


def _print_json(value: object, host: Host) -> None:
    import msgspec

    host.console.result(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
