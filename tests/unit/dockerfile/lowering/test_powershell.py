r"""PowerShell's language and cmdlets, as `RUN` steps use them."""

from __future__ import annotations

import hashlib
import time

import pytest

from tests.unit.dockerfile.lowering.stages import (
    PATH,
    fetched,
    lines,
    only,
    plan_stage,
    ps,
    ps_refuse,
    refuse,
    run,
    stage,
    text_of,
    there,
    unpacked,
)
from wingo.dockerfile.lowering import Impossible, Lowered, Needs, lower
from wingo.dockerfile.lowering.edits import Download, RunGit, RunGo, SetVariable
from wingo.dockerfile.lowering.powershell.parser import parse_script
from wingo.dockerfile.lowering.powershell.reader import ParseFault


def written(expression: str, state=None) -> str:
    """What an expression is, as a text."""
    after = ps(f"Set-Content -NoNewline -Path C:\\f -Value ({expression})", state)
    data = text_of(after.state, "/f")
    assert data is not None
    return data.decode("cp1252")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("7 / 2", "3.5"),
        ("8 / 2", "4"),
        ("-7 % 3", "-1"),
        ("'a' + 1", "a1"),
        ("1 + '2'", "3"),
        ("'{0}-{1}' -f 'a', 2", "a-2"),
        ("'{0:D3}' -f 7", "007"),
        ("'{0,4}|' -f 'x'", "   x|"),
        ("'{{}}' -f 1", "{}"),
        ("'abc' -replace 'b', 'X'", "aXc"),
        ("'ABC' -replace 'b', 'x'", "AxC"),
        ("'ABC' -creplace 'b', 'x'", "ABC"),
        ("'v1.2' -replace '^v([0-9]+)', '<$1>'", "<1>.2"),
        ("'a,b' -split ','", "ab"),
        ("('a', 'b') -join '-'", "a-b"),
        ("'abc' -like 'A*'", "True"),
        ("'abc' -match '^a(.)'", "True"),
        ("'a' -eq 'A'", "True"),
        ("'a' -ceq 'A'", "False"),
        ("'10' -eq 10", "True"),
        ("10 -gt '9'", "True"),
        ("1, 2, 3 -contains 2", "True"),
        ("'b' -in 'a', 'b'", "True"),
        ("-not ''", "True"),
        ("!$true", "False"),
        ("$true -and 'False'", "True"),
        ("$null -eq $undefined", "True"),
        ("'abc'.ToUpper()", "ABC"),
        ("' x '.Trim()", "x"),
        ("'a-b'.Replace('-', '+')", "a+b"),
        ("'abc'.Substring(1)", "bc"),
        ("'a;b;c'.Split(';')[1]", "b"),
        ("'abc'.Length", "3"),
        ("(1..4)[-1]", "4"),
        ("@(1, 2).Count", "2"),
        ("@{a = 1; b = 2}['B']", "2"),
        ("@{a = 1}.A", "1"),
        ("[int]'0x10'", "16"),
        ("[version]'1.10' -gt [version]'1.9'", "True"),
        ("[string]::Format('{0}!', 'x')", "x!"),
        ("[IO.Path]::Combine('C:\\a', 'b')", "C:\\a\\b"),
        ("[string]::IsNullOrEmpty('')", "True"),
        ("Join-Path 'C:\\a\\' '\\b'", "C:\\a\\b"),
        ("Split-Path 'C:\\a\\b.txt' -Leaf", "b.txt"),
        ("'{0}' -f $env:ProgramFiles", "C:\\Program Files"),
        ("'single $x'", "single $x"),
        ("'it''s'", "it's"),
        ("$(1; 2)", "12"),
        ("(Get-Date -Format 'yyyy-MM-ddTHH:mm:ssZ')", "1970-01-01T00:00:00Z"),
        ("[Environment]::GetEnvironmentVariable('Path', 'Machine')", PATH),
        ("0x10 + 1kb", "1040"),
        ("[Math]::Max(3, 5)", "5"),
        ("5..3", "543"),
    ],
)
def test_expressions(expression: str, text: str) -> None:
    assert written(expression) == text


def test_double_quotes_do_not_reach_powershell_unless_they_are_escaped() -> None:
    # The command line is joined as it is (BuildKit `executor/oci/spec_windows.go`), and CommandLineToArgvW eats the quotes.
    state = stage(environment=(("V", "1"),))
    assert text_of(ps(r'Set-Content -NoNewline C:\f "v$($env:V)"', state).state, "/f") == b"v1"
    assert text_of(ps(r"Set-Content -NoNewline C:\f \"a  b ${env:V}\"", state).state, "/f") == b"a b 1"
    assert ps_refuse(r'Set-Content -NoNewline C:\f "a b"', state).fails


@pytest.mark.parametrize(
    ("script", "data"),
    [
        ("$x = 'a'; Set-Content C:\\f $x", b"a\r\n"),
        ("'a', 'b' | Set-Content C:\\f", b"a\r\nb\r\n"),
        ("'a' | Out-File C:\\f", "\ufeffa\r\n".encode("utf-16-le")),
        ("'a' > C:\\f", "\ufeffa\r\n".encode("utf-16-le")),
        ("'a' | Out-File -Encoding ascii C:\\f; 'b' | Out-File -Append -Encoding ascii C:\\f", b"a\r\nb\r\n"),
        ("Add-Content C:\\f 'a'; Add-Content C:\\f 'b'", b"a\r\nb\r\n"),
        ("'é' | Out-File -Encoding utf8 C:\\f", b"\xef\xbb\xbf\xc3\xa9\r\n"),
        ("New-Item -Path C:/ -Name f -ItemType file -Value $env:SystemRoot", b"C:\\Windows"),
        ("if (1 -eq 1) { 'yes' | sc C:\\f } else { 'no' | sc C:\\f }", b"yes\r\n"),
        ("if ($false) { 1 } elseif ($true) { sc C:\\f two } else { 3 }", b"two\r\n"),
        ("foreach ($x in 'a', 'b') { ac C:\\f $x }", b"a\r\nb\r\n"),
        ("1..3 | % { ac C:\\f $_ }", b"1\r\n2\r\n3\r\n"),
        ("1..5 | ? { $_ -gt 3 } | sc C:\\f", b"4\r\n5\r\n"),
        ("for ($i = 0; $i -lt 3; $i++) { if ($i -eq 1) { continue }; ac C:\\f $i }", b"0\r\n2\r\n"),
        ("$i = 0; while ($true) { $i += 1; if ($i -ge 4) { break } }; sc C:\\f $i", b"4\r\n"),
        ("function F($a, $b = 'd') { \\\"$a-$b\\\" }; F -b x 'y' | sc C:\\f; F z | ac C:\\f", b"y-x\r\nz-d\r\n"),
        ("try { throw 'bad' } catch { sc C:\\f $_.Exception.Message } finally { ac C:\\f end }", b"bad\r\nend\r\n"),
        ("switch ('b') { 'a' { sc C:\\f 1 } 'b' { sc C:\\f 2 } default { sc C:\\f 3 } }", b"2\r\n"),
        ("$p = @{ Path = 'C:\\f'; Value = 'splat' }; Set-Content @p", b"splat\r\n"),
        ("$h = @{}; $h['k'] = 'v'; sc C:\\f $h.k", b"v\r\n"),
        ("& { sc C:\\f block }", b"block\r\n"),
        ("$env:X = 'env'; cmd /c 'echo %X%>C:\\f'", b"env\r\n"),
        ("cmd /c echo native | sc C:\\f", b"native\r\n"),
        ('$a, $b = 1, 2; sc C:\\f \\"$b$a\\"', b"21\r\n"),
        ("$s = @'\nx\ny\n'@; sc -NoNewline C:\\f $s", b"x\ny"),
        ("[IO.File]::WriteAllText('C:\\f', 'x')", b"x"),
        ("$x = sc C:\\f y; 'done' | Out-Null", b"y\r\n"),
        ("Write-Output a b | sc C:\\f", b"a\r\nb\r\n"),
        ("$v = '1.2'; sc C:\\f v$v/x-$($v)_y", b"v1.2/x-1.2_y\r\n"),
        ("'x' | Tee-Object -Variable q | sc C:\\f", b"x\r\n"),
        ("iex 'sc C:\\f inner'", b"inner\r\n"),
    ],
)
def test_scripts(script: str, data: bytes) -> None:
    assert text_of(ps(script).state, "/f") == data


def test_an_undefined_variable_is_nothing_and_is_noted() -> None:
    # ${VERSION} in a RUN under PowerShell is a variable of PowerShell's, not the ARG of that name.
    outcome = ps(r"sc -NoNewline C:\f \"v${VERSION}\"", stage(environment=(("VERSION", "1"),)))
    assert text_of(outcome.state, "/f") == b"v"
    assert any("$VERSION is not set" in note for note in outcome.notes)


def test_directories() -> None:
    after = ps(
        r"New-Item -ItemType Directory -Force -Path 'C:\Program Files\x' | Out-Null; mkdir -p C:\y\z; md C:\q"
    ).state
    for path in ("/Program Files/x", "/y/z", "/q"):
        assert there(after, path)
    assert ps_refuse(r"mkdir C:\Windows").fails
    ps(r"mkdir -Force C:\Windows")
    assert there(ps(r"New-Item -Path c:\ -Name d -ItemType directory").state, "/d")


def test_copying_and_moving() -> None:
    state = stage({"a-1/x.exe": b"x", "a-1/sub/y": b"y", "target/keep": b"k"})
    assert text_of(ps(r"Copy-Item -Path a*/x.exe -Destination C:\x.exe", state).state, "/x.exe") == b"x"
    assert text_of(ps(r"cp -r a-1 target", state).state, "/target/a-1/sub/y") == b"y"
    assert text_of(ps(r"Copy-Item -Recurse a-1 new", state).state, "/new/sub/y") == b"y"
    assert not there(ps(r"Copy-Item a-1 new", state).state, "/new/sub")
    moved = ps(r"Move-Item -Path a-* -Destination C:\moved", state).state
    assert text_of(moved, "/moved/sub/y") == b"y"
    assert not there(moved, "/a-1")
    assert ps_refuse("Copy-Item nowhere x", state).fails
    assert ps_refuse(r"Move-Item a-1\x.exe target\keep", state).fails
    assert text_of(ps(r"Move-Item -Force a-1\x.exe target\keep", state).state, "/target/keep") == b"x"
    assert there(ps("Rename-Item a-1 b", state).state, "/b/x.exe")


def test_removing() -> None:
    state = stage({"d/a.txt": b"", "d/b.log": b"", "f": b""})
    after = ps(r"Remove-Item d\*.log; rm f -Force", state).state
    assert there(after, "/d/a.txt")
    assert not there(after, "/d/b.log")
    assert not there(after, "/f")
    assert "Recurse" in ps_refuse("Remove-Item d", state).advice
    assert not there(ps("Remove-Item -Recurse -Force d", state).state, "/d/a.txt")
    kept = ps(r"Remove-Item -Recurse -Force -Path @('C:\f', 'C:\d\*') -Exclude @('a.txt')", state).state
    assert there(kept, "/d/a.txt")
    assert not there(kept, "/d/b.log")
    assert ps_refuse("rm nothing", state).fails
    ps("rm nothing -ErrorAction SilentlyContinue; rm nothing -ea 0; exit 0", state)


GO = r"""$url = 'https://registry.example/go.zip'; Write-Host ('Downloading {0} ...' -f $url); [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12; Invoke-WebRequest -Uri $url -OutFile 'go.zip'; $sha256 = 'SUM'; if ((Get-FileHash go.zip -Algorithm sha256).Hash -ne $sha256) { Write-Host 'FAILED!'; exit 1; }; Expand-Archive go.zip -DestinationPath C:\; Move-Item -Path C:\go -Destination 'C:\Program Files\Go'; Remove-Item go.zip -Force; go version;"""


def test_the_download_idiom_is_built() -> None:
    archive = b"PK..."
    command = GO.replace("SUM", hashlib.sha256(archive).hexdigest())
    state = stage(environment=(("PATH", rf"C:\Program Files\Go\bin;{PATH}"),))
    assert isinstance(lower(command, ("powershell", "-Command"), state), Needs)
    members = unpacked(**{"go/bin/go.exe": b"MZ go", "go/VERSION": b"go1"})
    outcome = run(command, state, shell=("powershell", "-Command"), answers=[fetched(archive), members])
    assert text_of(outcome.state, "/Program Files/Go/bin/go.exe") == b"MZ go"
    assert not there(outcome.state, "/go")
    assert not there(outcome.state, "/go.zip")
    assert not outcome.decided_late


def test_a_wrong_digest_fails_the_step() -> None:
    found = ps_refuse(GO.replace("SUM", "0" * 64), answers=[fetched(b"PK...")])
    assert found.fails
    assert "exit code 1" in found.reason


def test_a_plan_learns_the_digest_from_the_comparison() -> None:
    outcome = ps(GO.replace("SUM", "AB" * 32), plan_stage())
    assert lines(outcome)[0].endswith(f"(must be sha256:{'ab' * 32})")
    assert outcome.decided_late
    other = ps(
        "wget -uri https://registry.example/x -OutFile x; "
        "if (!(Get-FileHash x).Hash.ToLower().Equals('00ff')) { Write-Error 'bad'; exit 1 }",
        plan_stage(),
    )
    assert isinstance(other.edits[0], Download)
    assert other.edits[0].expected == "sha256:00ff"


def test_environment_variables() -> None:
    outcome = ps(
        "[Environment]::SetEnvironmentVariable('PATH', 'C:\\x;' + $env:PATH, [EnvironmentVariableTarget]::Machine)"
    )
    assert only(outcome) == SetVariable("PATH", f"C:\\x;{PATH}")
    assert ps("$env:X = 'y'; setx /M X $env:X").edits == (SetVariable("X", "y"),)
    after = ps("setx /M A $('C:\\a;' + $env:PATH)").state
    assert text_of(ps("sc -NoNewline C:\\f $env:A", after).state, "/f") == f"C:\\a;{PATH}".encode()
    key = r"'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Environment'"
    outcome = ps(f"Set-ItemProperty -Path {key} -Name Path -Value ('C:\\z;' + $env:PATH)")
    assert text_of(ps("sc -NoNewline C:\\f $env:PATH", outcome.state).state, "/f") == f"C:\\z;{PATH}".encode()


def test_services_of_the_issue() -> None:
    state = stage()
    after = ps('Stop-Service -Name "WSearch" -Force; Set-Service -Name "WSearch" -StartupType Disabled', state)
    value = after.state.registry.value(r"HKLM\SYSTEM\CurrentControlSet\Services\WSearch", "Start")
    assert value is not None
    assert value.data == b"\4\0\0\0"
    assert ps_refuse("Set-Service Nothing -StartupType Disabled").fails
    assert any("cexecsvc" in note for note in ps("Set-Service cexecsvc -StartupType Disabled").notes)


def test_registry() -> None:
    after = ps(
        r"New-Item -Path HKLM:\SOFTWARE\New -Force; New-ItemProperty -Path HKLM:\SOFTWARE\New -Name N -Value 5 -PropertyType DWord; "
        r"Set-ItemProperty -Path HKLM:\SOFTWARE\New -Name T -Value text; Remove-ItemProperty HKLM:\SOFTWARE\Microsoft\Known -Name Text"
    ).state
    value = after.registry.value(r"HKLM\SOFTWARE\New", "N")
    assert value is not None
    assert (value.type, value.data) == (4, b"\5\0\0\0")
    assert after.registry.value(r"HKLM\SOFTWARE\Microsoft\Known", "Text") is None
    assert ps_refuse(r"Set-ItemProperty -Path HKLM:\SOFTWARE\Nowhere -Name N -Value 1").fails
    assert written(r"(Get-ItemProperty HKLM:\SOFTWARE\Microsoft\Known).Text") == "before"
    assert written(r"Test-Path HKLM:\SOFTWARE\Nowhere") == "False"


def test_errors_follow_the_preference() -> None:
    assert ps_refuse("Remove-Item nothing; sc C:\\f x").fails
    shell = ("powershell", "-Command")
    after = run("Remove-Item nothing; sc C:\\f x", shell=shell)
    assert text_of(after.state, "/f") == b"x\r\n"
    assert refuse("sc C:\\f x; Remove-Item nothing", shell=shell).fails
    # A program's exit code stops nothing, and is the step's only when it comes last.
    assert text_of(ps("cmd /c exit 3; sc C:\\f $LASTEXITCODE").state, "/f") == b"3\r\n"
    assert ps_refuse("cmd /c exit 3").fails
    assert "exit code 7" in ps_refuse("exit 7").reason
    assert ps_refuse("throw 'no'").fails


def test_what_powershell_5_cannot_read_runs_nothing() -> None:
    found = ps_refuse("mkdir C:\\x && mkdir C:\\y")
    assert found.fails
    assert "&&" in found.reason
    state = stage(
        {"Program Files/PowerShell/7/pwsh.exe": b"MZ"},
        environment=(("PATH", rf"C:\Program Files\PowerShell\7;{PATH}"),),
    )
    assert there(run("mkdir C:\\x && mkdir C:\\y", state, shell=("pwsh", "-Command")).state, "/y")


@pytest.mark.parametrize(
    "text",
    [
        "(",
        "'",
        '"',
        "$(",
        "@{a=",
        "if (1) {",
        "function {",
        "1 +",
        "foreach ($x in ",
        "| x",
        "@'x'@",
        "a b )",
        "$x = ",
        "try {}",
    ],
)
def test_what_is_no_powershell_is_refused(text: str) -> None:
    with pytest.raises(ParseFault):
        parse_script(text)


@pytest.mark.parametrize(
    ("script", "word"),
    [
        (
            "iex ((New-Object System.Net.WebClient).DownloadString('https://registry.example/install.ps1'))",
            "downloaded",
        ),
        ("Install-WindowsFeature Web-Server", "feature"),
        ("Install-Module X -Force", "gallery"),
        ("$x = [Environment]::MachineName", "machine"),
        ("Get-Random", "random"),
        ("Compress-Archive a b.zip", "archive"),
        ("Start-Process msiexec.exe -ArgumentList '/i x.msi /quiet' -Wait", "MSI"),
        ("$x = Get-Process", "machine"),
        ("Add-Type -TypeDefinition 'class A {}'", "compiles"),
        ("class A { }", "class"),
        ("while ($true) { }", "turns"),
        ("function F { F }; F", "deeply"),
        ("'aaaaaaaaaaaaaaaaaaaaaaaaaaaa!' -match '(a+)+$'", "too long"),
        ("$x = 'a' * 100000000", "too often"),
        ("Import-Certificate x.cer -CertStoreLocation Cert:\\CurrentUser\\Root", "account"),
    ],
)
def test_what_cannot_be_lowered(script: str, word: str) -> None:
    found = ps_refuse(script)
    assert not found.fails
    assert word in found.reason


def test_scripts_of_the_context_are_read() -> None:
    script = 'param([string]$Target, [switch]$Twice)\r\nSet-Content $Target "in $PSScriptRoot"\r\nif ($Twice) { Add-Content $Target two }\r\n'
    state = stage({"setup/s.ps1": script.encode()})
    assert text_of(ps(r".\setup\s.ps1 -Target C:\f -Twice", state).state, "/f") == b"in C:\\setup\r\ntwo\r\n"
    assert text_of(run(r"powershell -File .\setup\s.ps1 -Target C:\f", state).state, "/f") == b"in C:\\setup\r\n"
    assert (
        text_of(
            run(r"powershell.exe -NoProfile -ExecutionPolicy Bypass -Command .\setup\s.ps1 C:\f", state).state, "/f"
        )
        is not None
    )
    assert ps_refuse(r".\nowhere.ps1", state).fails
    assert isinstance(lower(r".\setup\s.ps1", ("powershell", "-Command"), plan_stage()), Lowered)


def test_an_encoded_command() -> None:
    assert text_of(run("powershell -EncodedCommand cwBjACAAQwA6AFwAZgAgAHgA").state, "/f") == b"x\r\n"


def test_text_is_replaced() -> None:
    state = stage({"f.conf": b"port = 1\r\nhost = x\r\n"})
    after = ps(r"(Get-Content C:\f.conf) -replace 'port = 1', 'port = 2' | Set-Content C:\f.conf", state).state
    assert text_of(after, "/f.conf") == b"port = 2\r\nhost = x\r\n"
    after = ps(r"(Get-Content C:\f.conf -Raw).Replace('x', 'y') | Set-Content -NoNewline C:\f.conf", state).state
    assert text_of(after, "/f.conf") == b"port = 1\r\nhost = y\r\n"


def test_access() -> None:
    state = stage({"v/x": b""})
    outcome = ps(
        "$acl = Get-Acl C:\\v; $r = New-Object Security.AccessControl.FileSystemAccessRule('Users', 'Modify', "
        "'ContainerInherit, ObjectInherit', 'None', 'Allow'); $acl.SetAccessRule($r); Set-Acl C:\\v $acl",
        state,
    )
    item = outcome.state.tree.find(("v",))
    assert item is not None
    assert "(A;OICI;0x1301bf;;;BU)" in item.access
    outcome = run('icacls C:\\v /grant "CREATOR OWNER":(OI)(CI)(IO)F /T', state)
    item = outcome.state.tree.find(("v",))
    assert item is not None
    assert "(A;OICIIO;FA;;;CO)" in item.access or "(A;OICIIO;GA;;;CO)" in item.access
    assert refuse("icacls C:\\v /grant Nobody:F", state).fails
    assert run("icacls C:\\v", state).edits


def test_which_way_a_plan_takes() -> None:
    outcome = ps("if (Test-Path C:\\x) { throw 'there' } else { mkdir C:\\x }", plan_stage())
    assert lines(outcome) == [r"make directory C:\x"]
    found = lower("if (Test-Path C:\\x) { throw 1 } else { exit 2 }", ("powershell", "-Command"), plan_stage())
    assert not isinstance(found, Lowered)


def test_nothing_unknown_gets_into_a_build() -> None:
    found = ps_refuse("sc C:\\f (Invoke-WebRequest https://registry.example/version)")
    assert "not known" in found.reason


def test_a_go_stage_runs_go_and_never_touches_this_machines_settings() -> None:
    state = plan_stage(toolchain=True, directory=("src",), environment=(("CGO_ENABLED", "0"), ("SECRET", "s")))
    outcome = ps(
        "git clone https://registry.example/x.git; cd x; git checkout $env:REF; go build -o C:\\x.exe ./cmd/x", state
    )
    git, _, go = outcome.edits
    assert isinstance(git, RunGit)
    assert git.argv == ("git", "clone", "https://registry.example/x.git")
    assert isinstance(go, RunGo)
    assert (go.argv, go.directory) == (("go", "build", "-o", "C:\\x.exe", "./cmd/x"), "C:\\src\\x")
    assert go.environment == (("CGO_ENABLED", "0"),)
    assert there(outcome.state, "/x.exe")
    after = run("git config --system core.longpaths true && go env -w GOPROXY=off", state).state
    assert ("GIT_CONFIG_KEY_0", "core.longpaths") in after.settings
    built = run("go mod download", after).edits[0]
    assert isinstance(built, RunGo)
    assert ("GOPROXY", "off") in built.environment
    assert ("GIT_CONFIG_COUNT", "1") in built.environment
    assert run("go test ./...", state).notes
    for command in (
        "go run .", "go generate ./...", "go build -toolexec evil .", "git -c core.sshCommand=evil fetch",
        "git clone --upload-pack=evil x", "git clone ext::sh", "git config --global core.sshCommand evil",
    ):  # fmt: skip
        assert not refuse(command, state).fails
    assert not refuse("go build", plan_stage(toolchain=True, environment=(("GOFLAGS", "-toolexec=evil"),))).fails
    assert not refuse("git config --system a.b c", plan_stage()).fails


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("[regex]::Escape('a.b c+')", r"a\.b\ c\+"),
        ("[regex]::Match('v1.23', '[0-9]+').Value", "1"),
        ("[regex]::Match('k=v', '(.)=(.)').Groups[2].Value", "v"),
        ("[regex]::Matches('a1b2', '[0-9]').Count", "2"),
        ("[regex]::Replace('aXb', 'x', '-', 'IgnoreCase')", "a-b"),
        ("[regex]::IsMatch('ABC', 'abc')", "False"),
        ("[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('eA=='))", "x"),
        ("[Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes('x'))", "eAA="),
        ("'a' ` + 'b'", "ab"),
    ],
)
def test_more_expressions(expression: str, text: str) -> None:
    assert written(expression) == text


def test_a_trap_takes_an_error_and_goes_on_unless_it_says_break() -> None:
    goes_on = ps("trap { Set-Content C:\\t $_ } throw 'no'; mkdir C:\\after")
    assert text_of(goes_on.state, "/t") == b"no\r\n"
    assert there(goes_on.state, "/after")
    assert ps_refuse("trap { break } throw 'no'; mkdir C:\\after").fails
    assert ps_refuse("trap { exit 3 } Remove-Item C:\\none; mkdir C:\\after").reason.startswith(
        "the step fails with exit code 3"
    )


def test_what_an_expression_cannot_do_ends_its_statement_alone() -> None:
    shell = ("powershell", "-Command")
    after = ps("$x = [int]'a'; mkdir C:\\after", shell=shell)
    assert there(after.state, "/after")
    assert ps_refuse("$x = [int]'a'; mkdir C:\\after").fails, "with the preference Stop it ends the script"
    caught = ps("try { $x = [int]'a'; mkdir C:\\no } catch { mkdir C:\\yes }", shell=shell)
    assert there(caught.state, "/yes")
    assert not there(caught.state, "/no")


WAITING = "while (!(Test-Path C:\\never)) { Start-Sleep -Seconds 6 }; mkdir C:\\after"


def test_a_loop_that_waits_for_a_running_windows_is_left() -> None:
    after = ps(WAITING)
    assert there(after.state, "/after")
    assert any("waits" in note for note in after.notes)
    assert there(ps(WAITING, plan_stage()).state, "/after")
    # One that counts is no waiting: it ends by itself, and one that never does is stopped.
    counted = ps("$i = 0; while ($i -lt 3) { $i++; Start-Sleep 1 }; Set-Content -NoNewline C:\\f $i")
    assert text_of(counted.state, "/f") == b"3"
    assert "more than" in ps_refuse("while ($true) { $i++; Start-Sleep 1 }").reason


def test_a_plan_takes_an_unknown_loop_to_end() -> None:
    after = ps("while (Test-Path C:\\Windows\\x) { throw 'no' }; mkdir C:\\after", plan_stage())
    assert after.decided_late
    do = ps("do { mkdir C:\\once } until (Test-Path C:\\Windows\\x)", plan_stage())
    assert lines(do) == [r"make directory C:\once"]


def test_quotes_that_matter_are_noted() -> None:
    def notes(text: str) -> list[str]:
        return [note for note in ps(text, stage(environment=(("V", "1"),))).notes if "double quotes" in note]

    assert not notes('Write-Host "two words"; mkdir "C:\\x"')
    assert not notes('Set-Content -NoNewline C:\\f "v$($env:V)"')
    assert not notes('Set-Content C:\\f \\"two words\\"')
    apart = notes('mkdir "C:\\a;mkdir C:\\b"')
    assert len(apart) == 1
    assert "mkdir C:" in apart[0]
    assert "double quotes" in ps_refuse('if ($env:V -eq "") { mkdir C:\\x }').reason


def test_a_cmdlet_that_is_not_lowered_is_no_program() -> None:
    found = ps_refuse("Get-Printer")
    assert "the cmdlet Get-Printer is not lowered" in found.reason
    assert ps_refuse("my-tool x").fails, "a name that is no verb's is a program that is not there"


def test_variables_of_a_base_that_was_not_read_are_open() -> None:
    state = plan_stage(unread_environment=True)
    assert "«TOOL of the base»" in lines(ps("mkdir C:\\$env:TOOL", state))[0]
    assert "«TOOL of the base»" in lines(run("mkdir C:\\%TOOL%", state))[0]
    assert lines(run("if defined TOOL (mkdir C:\\x)", state)) == [r"make directory C:\x"]
    assert lines(ps("mkdir C:\\a$env:TOOL", plan_stage())) == [r"make directory C:\a"]


EVENTS = r"HKLM\SYSTEM\CurrentControlSet\Services\EventLog\Application"


def test_event_sources_are_keys_of_their_log() -> None:
    script = (
        "$d = New-Object System.Diagnostics.EventSourceCreationData('app', 'Application'); $d.MessageResourceFile = 'C:\\a.exe';"
        "if (![Diagnostics.EventLog]::SourceExists($d.Source)) { [Diagnostics.EventLog]::CreateEventSource($d) }"
    )
    after = ps(script)
    assert lines(after) == [
        r"set HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\EventLog\Application\app EventMessageFile = expand_sz:C:\a.exe"
    ]
    assert not ps(script, after.state).edits, "it is there already"
    assert "already exists" in ps_refuse("New-EventLog -LogName Application -Source app", after.state).reason
    assert "EventLogMessages.dll" in lines(ps("New-EventLog Application x, y"))[1]
    assert "running system" in ps_refuse("New-EventLog -LogName Own -Source x").reason
    gone = ps("[Diagnostics.EventLog]::DeleteEventSource('app')", after.state)
    assert gone.state.registry.find(f"{EVENTS}\\app") is None
    assert lines(ps(script, plan_stage())), "a plan takes it to be new"


def test_words_with_what_a_plan_does_not_know_stay_together() -> None:
    for shell in ("powershell", "pwsh"):
        after = run(f'{shell} -Command setx /m PATH \\"$Env:Path;C:/Program Files/D\\"', plan_stage())
        assert lines(after) == ["set machine variable PATH=«PATH of the base»;C:/Program Files/D"]


def test_methods_of_arrays_that_take_a_block() -> None:
    after = ps("$d = 'a', 'b', 'c'; $d.Where({ $_ -ne 'b' }).ForEach({ mkdir C:\\$_ })")
    assert lines(after) == [r"make directory C:\a", r"make directory C:\c"]
    assert "more than a block" in ps_refuse("('a', 'b').Where({ $true }, 'First')").reason


def test_refused_cmdlets_say_so_whatever_their_parameters() -> None:
    for command in ("Register-PSRepository -Default", "Install-WindowsFeature -Name X -Nonsense y", "get-random"):
        assert not ps_refuse(command).fails, command
    assert "Windows feature" in ps_refuse("Install-WindowsFeature Web-Server").reason


def test_the_tls_line_in_its_other_form() -> None:
    line = (
        "[Net.ServicePointManager]::SecurityProtocol = [Enum]::ToObject([Net.SecurityProtocolType], 3072); mkdir C:\\x"
    )
    assert lines(ps(line)) == [r"make directory C:\x"]


def test_a_password_that_never_expires_is_what_accounts_here_have() -> None:
    made = "New-LocalUser -Name app -NoPassword; Set-LocalUser -Name app -PasswordNeverExpires"
    assert lines(ps(f"{made} $true", plan_stage())) == ["add account app"]
    assert "not lowered" in ps_refuse(f"{made} $false", plan_stage()).reason
    assert ps_refuse("Set-LocalUser -Name nobody -PasswordNeverExpires $true", plan_stage()).fails


@pytest.mark.parametrize("opening", ["(", "$(", "@(", "[int](", "'a' + (", "$a = (", "($b."])
def test_what_is_nested_costs_no_more_than_its_length(opening: str) -> None:
    began = time.process_time()
    for text in (opening * 40 + "1", opening * 40 + "1" + ")" * 40):
        lower(text, ("powershell", "-Command"))
    assert time.process_time() - began < 5


@pytest.mark.parametrize("shell", ["pwsh", "powershell"])
def test_an_argument_with_a_nul_is_no_argument(shell: str) -> None:
    assert isinstance(lower('whoami "a`0b c"', (shell, "-Command"), stage()), Impossible)
