"""Services, registry commands and the policy, on a small registry of our own."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.hive.edit import CreateKey, DeleteKey, SetValue
from wingo.hive.keys import find_value
from wingo.hive.merge import merge
from wingo.hive.read import open_hive
from wingo.hive.values import EXPAND_SZ, MULTI_SZ, SZ, encode_text, encode_texts, number_of, text_of, texts_of
from wingo.testing.hives import sample_registry
from wingo.windows.registry import Registry, delta_hives, edited, edits_to
from wingo.windows.registry_commands import (
    machine_variables,
    new_item,
    new_item_property,
    reg_add,
    reg_copy,
    reg_delete,
    reg_import,
    remove_item,
    remove_item_property,
    set_item_property,
    set_machine_variable,
    setx,
)
from wingo.windows.registry_policy import ignored_reason, never_touched, objections, protected_reason
from wingo.windows.services import (
    SERVICES,
    ServiceChange,
    Start,
    change_service,
    create_service,
    delete_service,
    file_of,
    parse_start,
    read_services,
)

REGISTRY = sample_registry()
PATH = "HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Services"
X = "HKLM\\SOFTWARE\\X"


def after(*edits) -> Registry:
    return edited(REGISTRY, edits)


def disabled(*names: str) -> Registry:
    registry = REGISTRY
    for name in names:
        registry = edited(registry, change_service(registry, name, ServiceChange(start=Start.DISABLED)))
    return registry


def test_services_are_read():
    services = read_services(REGISTRY)
    spooler = services.find("SPOOLER")
    assert (spooler.name, spooler.start, spooler.depends_on) == ("Spooler", Start.AUTOMATIC, ("RPCSS", "http"))
    assert spooler.files == ("Windows\\System32\\spoolsv.exe",)
    assert services.find("Dnscache").files == ("Windows\\system32\\svchost.exe", "Windows\\System32\\dnsrslvr.dll")
    assert services.find("http").is_driver
    assert services.find("Data") is None
    assert services.find("W32Time").triggers == 1
    assert services.find("W32Time").starts_itself
    assert [service.name for service in services.needed_by("rpcss")] == ["nsi", "ProfSvc", "Spooler"]
    assert [(service.name, name) for service, name in services.dangling()] == [("Lonely", "Nowhere")]


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("%SystemRoot%\\System32\\svchost.exe -k netsvcs -p", "Windows\\System32\\svchost.exe"),
        ("\\SystemRoot\\System32\\drivers\\a.sys", "Windows\\System32\\drivers\\a.sys"),
        ("system32\\drivers\\a.sys", "Windows\\system32\\drivers\\a.sys"),
        ('"C:\\Program Files\\a b\\c.exe" -x', "Program Files\\a b\\c.exe"),
        ("C:\\Program Files\\a b\\c.exe -x", "Program Files\\a b\\c.exe"),
        ("\\??\\C:\\a.sys", "a.sys"),
        ("%windir%\\x.exe", "Windows\\x.exe"),
        ("%ProgramFiles%\\x.exe", ""),
        ("D:\\x.exe", ""),
        ("", ""),
    ],
)
def test_the_file_of_a_service(command, file):
    assert file_of(command) == file


def test_start_types():
    assert parse_start("Delayed-Auto") == (Start.AUTOMATIC, True)
    assert parse_start("Manual") == (Start.DEMAND, False)
    with pytest.raises(RequestError, match="start type"):
        parse_start("never")


def test_a_service_is_changed():
    edits = change_service(REGISTRY, "SPOOLER", ServiceChange(start=Start.DISABLED))
    assert edits == (SetValue(f"{PATH}\\Spooler", "Start", 4, b"\4\0\0\0"),)
    delayed = after(*change_service(REGISTRY, "Spooler", ServiceChange(start=Start.AUTOMATIC, delayed=True)))
    assert read_services(delayed).find("spooler").delayed
    back = edited(delayed, change_service(delayed, "Spooler", ServiceChange(start=Start.AUTOMATIC)))
    assert list(edits_to(REGISTRY, back)) == []
    assert change_service(REGISTRY, "Spooler", ServiceChange(start=Start.AUTOMATIC)) == ()
    with pytest.raises(RequestError, match="no service"):
        change_service(REGISTRY, "NoSuch", ServiceChange(start=Start.DISABLED))
    with pytest.raises(RequestError, match="cannot be the name"):
        change_service(REGISTRY, "a\\b", ServiceChange())


def test_dependencies_are_changed_as_sc_does():
    change = ServiceChange(depends_on=("a", "+g", "b"))
    changed = after(*change_service(REGISTRY, "Spooler", change))
    spooler = read_services(changed).find("Spooler")
    assert (spooler.depends_on, spooler.depends_on_groups) == (("a", "b"), ("g",))
    none = after(*change_service(REGISTRY, "Spooler", ServiceChange(depends_on=())))
    assert read_services(none).find("Spooler").depends_on == ()


def test_a_service_is_made_and_deleted():
    edits = create_service(REGISTRY, "App", ServiceChange(image="C:\\app\\app.exe", display_name="App"))
    made = read_services(after(*edits)).find("app")
    assert (made.type, made.start, made.account) == (0x10, Start.DEMAND, "LocalSystem")
    key = after(*edits).find(f"{SERVICES}\\App")
    assert find_value(key, "ImagePath").type == EXPAND_SZ
    assert number_of(find_value(key, "ErrorControl")) == 1
    with pytest.raises(RequestError, match="already"):
        create_service(REGISTRY, "spooler", ServiceChange(image="x"))
    with pytest.raises(RequestError, match="command line"):
        create_service(REGISTRY, "App", ServiceChange())
    assert delete_service(REGISTRY, "diagtrack") == (DeleteKey(f"{PATH}\\DiagTrack"),)
    assert read_services(after(*delete_service(REGISTRY, "diagtrack"))).find("DiagTrack") is None
    with pytest.raises(RequestError):
        delete_service(REGISTRY, "App")


def test_reg_add():
    key = "HKEY_LOCAL_MACHINE\\SOFTWARE\\X"
    assert reg_add(REGISTRY, X) == (CreateKey(key),)
    assert reg_add(REGISTRY, X, name="n") == (CreateKey(key), SetValue(key, "n", SZ, b"\0\0"))
    cases = [
        ("REG_DWORD", "", b"\0\0\0\0"),
        ("reg_dword", "0x10", b"\x10\0\0\0"),
        ("REG_DWORD_BIG_ENDIAN", "1", b"\0\0\0\1"),
        ("REG_QWORD", "1", b"\1" + bytes(7)),
        ("REG_BINARY", "0ff", b"\x00\xff"),
        ("REG_NONE", "", b""),
        ("REG_EXPAND_SZ", "%x%", encode_text("%x%")),
        ("REG_MULTI_SZ", "a\\0b", encode_texts(("a", "b"))),
    ]
    for kind, data, found in cases:
        assert reg_add(REGISTRY, X, name="n", type=kind, data=data)[1].data == found
    assert reg_add(REGISTRY, X, name="", type="REG_MULTI_SZ", data="a,b", separator=",")[1].data == encode_texts(
        ("a", "b")
    )
    there = after(*reg_add(REGISTRY, X, name="n", data="1"))
    with pytest.raises(RequestError, match="would ask"):
        reg_add(there, X, name="N", data="2")
    assert text_of(edited(there, reg_add(there, X, name="N", data="2", force=True)).value(X, "n")) == "2"
    for bad in ({"type": "REG_X"}, {"type": "REG_DWORD", "data": "x"}, {"type": "REG_BINARY", "data": "xy"}):
        with pytest.raises(RequestError):
            reg_add(REGISTRY, X, name="n", **bad)


@pytest.mark.parametrize("path", ["HKCU\\x", "Software\\x", "HKLM\\HARDWARE\\x", "HKLM\\SAM\\x"])
def test_paths_outside_the_registry_are_refused(path):
    with pytest.raises(RequestError):
        reg_add(REGISTRY, path)


def test_reg_delete_and_copy():
    there = after(*reg_add(REGISTRY, f"{X}\\deep", name="n", data="1"))
    copied = edited(there, reg_copy(there, X, "HKLM\\SOFTWARE\\Y", recursive=True))
    assert text_of(copied.value("HKLM\\SOFTWARE\\Y\\deep", "n")) == "1"
    assert edited(there, reg_copy(there, X, "HKLM\\SOFTWARE\\Y")).find("HKLM\\SOFTWARE\\Y\\deep") is None
    gone = edited(there, reg_delete(there, f"{X}\\deep", name="N"))
    assert gone.value(f"{X}\\deep", "n") is None
    assert edited(there, reg_delete(there, f"{X}\\deep", all_values=True)).value(f"{X}\\deep", "n") is None
    assert edited(there, reg_delete(there, X)).find(X) is None
    for wrong in (
        lambda: reg_delete(REGISTRY, X),
        lambda: reg_delete(there, X, name="zz"),
        lambda: reg_copy(there, X, f"{X}\\below"),
        lambda: reg_copy(REGISTRY, X, "HKLM\\SOFTWARE\\Y"),
    ):
        with pytest.raises(RequestError):
            wrong()


def test_reg_import_looks_where_it_goes():
    assert len(reg_import(REGISTRY, b'REGEDIT4\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\x]\n"a"=dword:1\n')) == 2
    with pytest.raises(RequestError, match="HKCU"):
        reg_import(REGISTRY, b"REGEDIT4\n[HKEY_CURRENT_USER\\x]\n")


def test_powershell_cmdlets():
    there = after(*new_item(REGISTRY, "HKLM:\\SOFTWARE\\P"))
    path = "HKLM:\\SOFTWARE\\P"
    one = edited(there, new_item_property(there, path, "n", 7, type="DWord"))
    assert number_of(one.value(path, "N")) == 7
    with pytest.raises(RequestError, match="already"):
        new_item_property(one, path, "n", 8)
    two = edited(one, set_item_property(one, path, "n", "0x10"))
    assert (two.value(path, "n").type, number_of(two.value(path, "n"))) == (4, 16)
    texts = edited(two, set_item_property(two, path, "m", ("a", "b")))
    assert (texts.value(path, "m").type, texts_of(texts.value(path, "m"))) == (MULTI_SZ, ("a", "b"))
    assert set_item_property(two, path, "(Default)", "x")[0].name == ""
    assert number_of(edited(one, set_item_property(one, path, "n", -1)).value(path, "n")) == 0xFFFF_FFFF
    assert edited(two, remove_item_property(two, path, "n")).value(path, "n") is None
    deep = edited(two, new_item(two, f"{path}\\a\\b", force=True))
    assert edited(deep, remove_item(deep, path, recursive=True)).find(path) is None
    assert edited(deep, new_item(deep, path, force=True)).find(f"{path}\\a") is None
    for wrong in (
        lambda: new_item(two, path),
        lambda: new_item(two, f"{path}\\a\\b"),
        lambda: remove_item(deep, path),
        lambda: remove_item(two, f"{path}\\zz"),
        lambda: new_item_property(two, f"{path}\\zz", "n", 1),
        lambda: new_item_property(two, path, "q", 1, type="Float"),
        lambda: set_item_property(two, path, "n", "many"),
        lambda: set_item_property(two, path, "b", "x", type="Binary"),
        lambda: remove_item_property(two, path, "zz"),
    ):
        with pytest.raises(RequestError):
            wrong()


def test_environment_variables_of_the_machine():
    there = after(*setx(REGISTRY, "GOMAXPROCS", "2"))
    assert machine_variables(there)["GOMAXPROCS"] == "2"
    expanding = edited(there, set_machine_variable(there, "X", "%SystemRoot%\\x"))
    assert (
        expanding.value("HKLM\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment", "X").type == EXPAND_SZ
    )
    assert "GOMAXPROCS" not in machine_variables(edited(there, set_machine_variable(there, "gomaxprocs", "")))
    assert set_machine_variable(REGISTRY, "None", None) == ()
    with pytest.raises(RequestError, match="1024"):
        setx(REGISTRY, "X", "x" * 1025)
    with pytest.raises(RequestError):
        setx(REGISTRY, "a=b", "x")


def test_a_layer_makes_the_same_registry():
    changed = disabled("Spooler", "DiagTrack")
    (name, delta), *more = delta_hives(REGISTRY, changed).items()
    assert (name, more) == ("SYSTEM", [])
    merged = merge(REGISTRY.hives["SYSTEM"], open_hive(delta).root)
    assert list(edits_to(changed, Registry({**REGISTRY.hives, "SYSTEM": merged}))) == []
    assert set(delta_hives(REGISTRY, changed, ("SYSTEM", "SOFTWARE", "SAM"))) == {"SYSTEM", "SOFTWARE"}
    nothing = open_hive(delta_hives(REGISTRY, REGISTRY, ("SYSTEM",))["SYSTEM"]).root
    assert list(nothing.subkeys()) == []


# the policy


def test_what_the_containers_start_needs_is_kept():
    kept = never_touched(read_services(REGISTRY))
    assert kept["NSIPROXY"][1] == ("cexecsvc", "nsi", "nsiproxy")
    assert "DISK" in kept
    assert "SPOOLER" not in kept
    (found,) = objections(REGISTRY, disabled("nsiproxy"))[:1]
    assert "cexecsvc needs nsi needs nsiproxy" in str(found)


def test_a_driver_and_a_listed_service_are_kept():
    assert "driver" in objections(REGISTRY, disabled("disk"))[0].reason
    assert "never changed" in objections(REGISTRY, disabled("RpcSs"))[0].reason
    deleted = after(*delete_service(REGISTRY, "RpcSs"))
    assert "never changed" in objections(REGISTRY, deleted)[0].reason
    moved = after(*change_service(REGISTRY, "RpcSs", ServiceChange(image="C:\\x.exe")))
    assert "never changed" in objections(REGISTRY, moved)[0].reason


def test_a_chain_is_not_broken():
    found = {objection.chain: objection.reason for objection in objections(REGISTRY, disabled("Print"))}
    assert set(found) == {("Fax", "Print2", "Print"), ("Print2", "Print")}
    assert "on demand" in found["Fax", "Print2", "Print"]
    assert objections(REGISTRY, disabled("Print"), may_break=("fax", "PRINT2")) == ()
    assert objections(REGISTRY, disabled("Print", "Print2", "Fax")) == ()
    (auto,) = objections(REGISTRY, disabled("Base"))
    assert "by itself" in auto.reason
    assert objections(REGISTRY, disabled("Base"), may_break=("Above",)) == (auto,)


def test_a_group_needs_one_member():
    assert objections(REGISTRY, disabled("Member1")) == ()
    both = objections(REGISTRY, disabled("Member1", "Member2"))
    assert [found.chain for found in both] == [("OfGroup", "Member1")]


def test_a_safe_service_has_no_objections():
    assert objections(REGISTRY, disabled("DiagTrack", "Spooler")) == ()
    assert objections(REGISTRY, after(*delete_service(REGISTRY, "diagtrack"))) == ()
    assert objections(REGISTRY, REGISTRY) == ()


@pytest.mark.parametrize(
    ("path", "name", "reason"),
    [
        ("Services\\Tcpip\\Parameters", "MaxUserPort", "host"),
        ("Services\\tcpip6\\parameters\\Interfaces", "x", "host"),
        ("Control\\Session Manager\\Memory Management", "DisablePagingExecutive", "kernel"),
        ("Control", "WaitToKillServiceTimeout", "runtime"),
        ("Control\\TimeZoneInformation", "Bias", "virtual"),
        ("Control\\FileSystem", "NtfsDisableLastAccessUpdate", "kernel"),
        ("Services\\disk\\Parameters", "x", "driver"),
    ],
)
def test_what_a_container_does_not_notice(path, name, reason):
    full = f"HKLM\\SYSTEM\\CurrentControlSet\\{path}"
    assert reason in ignored_reason(REGISTRY, full, name)
    (found,) = objections(REGISTRY, after(SetValue(full, name, 4, b"\1\0\0\0")))
    assert "does not notice" in found.reason


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("SYSTEM\\CurrentControlSet\\Services\\Dnscache\\Parameters", "MaxCacheTtl"),
        ("SYSTEM\\CurrentControlSet\\Control\\FileSystem", "LongPathsEnabled"),
        ("SYSTEM\\CurrentControlSet\\Services\\cexecsvc", "ProcessShutdownTimeoutSeconds"),
        ("SOFTWARE\\Microsoft\\Rpc", "DCOM Protocols"),
        ("SYSTEM\\CurrentControlSet\\Control", "SvcHostSplitThresholdInKB"),
    ],
)
def test_what_a_container_notices(path, name):
    full = f"HKLM\\{path}"
    assert ignored_reason(REGISTRY, full, name) == ""
    assert objections(REGISTRY, after(SetValue(full, name, 4, b"\1\0\0\0"))) == ()


@pytest.mark.parametrize(
    "path",
    [
        "SYSTEM\\Select",
        "SYSTEM\\Setup\\x",
        "SYSTEM\\CurrentControlSet\\Control\\Lsa\\JD",
        "SYSTEM\\ControlSet001\\Enum\\x",
        "SYSTEM\\CurrentControlSet\\Control\\ProductOptions",
        "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Svchost",
    ],
)
def test_what_must_be_left_alone(path):
    full = f"HKLM\\{path}"
    assert protected_reason(REGISTRY, full)
    assert "left alone" in objections(REGISTRY, after(SetValue(full, "x", 4, b"\1\0\0\0")))[0].reason
