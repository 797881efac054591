"""`Get-Date`: the build's epoch, so that two builds say the same."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.powershell.binding import Bound, Cmdlet, cmdlet
from wingo.dockerfile.lowering.powershell.evaluate import PowerShell
from wingo.dockerfile.lowering.powershell.values import Terminating, Thing, Value, number_of, text_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOKEN = re.compile(
    r"'([^']*)'|\"([^\"]*)\"|\\(.)|yyyy|yy|MMMM|MMM|MM|M|dddd|ddd|dd|d|HH|H|hh|h|mm|m|ss|s|f{1,7}|tt|K|zzz|zz|z|.",
    re.DOTALL,
)
_STANDARD = {"o": "yyyy-MM-ddTHH:mm:ss.fffffffK", "s": "yyyy-MM-ddTHH:mm:ss", "u": "yyyy-MM-dd HH:mm:ssZ", "d": "M/d/yyyy", "FileDate": "yyyyMMdd", "FileDateTime": "yyyyMMddTHHmmssffff", "FileDateUniversal": "yyyyMMddZ", "FileDateTimeUniversal": "yyyyMMddTHHmmssffffZ"}  # fmt: skip


def get_date(bound: Bound) -> list[Value]:
    """`Get-Date`.

    Raises:
        CannotLower: a date that is not now.
    """
    for name in ("Date", "Year", "Month", "Day", "Hour", "Minute", "Second", "UnixTimeSeconds"):
        if bound.has(name):
            raise CannotLower(f"Get-Date -{name} is not lowered")
    thing = date_thing(bound.shell)
    if bound.has("Format"):
        return [format_date(thing, bound.text("Format"))]
    if bound.has("UFormat"):
        text = bound.text("UFormat").removeprefix("+")
        if re.search(r"%[^YmdHMSsTFyjeDn%]", text):
            raise CannotLower(f"Get-Date -UFormat {text!r} is not lowered", "Use -Format.")
        moment: datetime = thing.data
        return [moment.strftime(text.replace("%s", str(int(moment.timestamp()))))]
    return [thing]


def date_thing(shell: PowerShell) -> Thing:
    """Now, as the build has it."""
    session = shell.session
    session.note(f"the date is pinned to the build's epoch, {session.start.epoch} (SOURCE_DATE_EPOCH)")
    return _thing(_EPOCH + timedelta(seconds=session.start.epoch))


def _thing(moment: datetime) -> Thing:
    properties: dict[str, Value] = {
        "Year": moment.year,
        "Month": moment.month,
        "Day": moment.day,
        "Hour": moment.hour,
        "Minute": moment.minute,
        "Second": moment.second,
        "DayOfYear": moment.timetuple().tm_yday,
    }
    thing = Thing("date", properties, "", data=moment)
    thing.text = format_date(thing, "MM/dd/yyyy HH:mm:ss")
    return thing


def format_date(thing: Thing, form: str) -> str:
    """A date in a format of .NET, in the invariant culture.

    Raises:
        CannotLower: a standard format that is not lowered.
    """
    moment: datetime = thing.data
    form = _STANDARD.get(form, form)
    if len(form) == 1:
        raise CannotLower(f"the date format {form!r} is not lowered", "Write it out, for instance yyyy-MM-dd.")
    hour = moment.hour % 12 or 12
    values = {
        "yyyy": f"{moment.year:04}", "yy": f"{moment.year % 100:02}", "MMMM": moment.strftime("%B"), "MMM": moment.strftime("%b"),
        "MM": f"{moment.month:02}", "M": str(moment.month), "dddd": moment.strftime("%A"), "ddd": moment.strftime("%a"),
        "dd": f"{moment.day:02}", "d": str(moment.day), "HH": f"{moment.hour:02}", "H": str(moment.hour), "hh": f"{hour:02}",
        "h": str(hour), "mm": f"{moment.minute:02}", "m": str(moment.minute), "ss": f"{moment.second:02}", "s": str(moment.second),
        "tt": "AM" if moment.hour < 12 else "PM", "K": "Z", "zzz": "+00:00", "zz": "+00", "z": "+0",
    }  # fmt: skip
    done = []
    for found in _TOKEN.finditer(form):
        text = found[0]
        literal = next((group for group in found.groups() if group is not None), None)
        done.append(
            literal if literal is not None else "0" * len(text) if text.strip("f") == "" else values.get(text, text)
        )
    return "".join(done)


def call_date(thing: Thing, name: str, arguments: list[Value]) -> Value:
    """A method of a date.

    Raises:
        CannotLower: one that is not lowered.
    """
    moment: datetime = thing.data
    match name:
        case "tostring":
            return format_date(thing, text_of(arguments[0])) if arguments else thing.text
        case "touniversaltime" | "tolocaltime":
            return thing
        case "adddays" | "addhours" | "addminutes" | "addseconds":
            unit = name.removeprefix("add")
            try:
                return _thing(moment + timedelta(**{unit: float(number_of(arguments[0]))}))
            except OverflowError as error:
                raise Terminating("the date is out of range") from error
        case _:
            raise CannotLower(f"the method {name} of a date is not lowered")


CMDLETS: tuple[Cmdlet, ...] = (
    cmdlet("Get-Date", "Date Format UFormat Year Month Day Hour Minute Second UnixTimeSeconds AsUTC! DisplayHint", get_date, positional="Date"),
)  # fmt: skip
