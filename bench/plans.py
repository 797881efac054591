"""`python -m bench.plans`: how long a plan of 500 steps takes, in this process, without and with PowerShell.

The steps are those of real Windows Dockerfiles, a third of them PowerShell, each with names of its own, so that nothing is
had for being the same as before. Parsing, the graph and the plan are in the time; reading wingo's modules is not.
"""

from __future__ import annotations

import argparse
import gc
import resource

from bench.runs import Spread
from wingo.dockerfile.bases import assume_facts
from wingo.dockerfile.graph import Options, make_graph
from wingo.dockerfile.parse import parse_dockerfile
from wingo.dockerfile.plan import plan_dockerfile
from wingo.dockerfile.planned import Plan
from wingo.dockerfile.windows_stage import begin_stage
from wingo.oci.platform import Platform

_STEPS = 500
_BOUND = 0.100
_PLAIN = (
    "ENV NAME_{n}=value-{n}",
    "COPY --from=tools /tool-{n}.exe C:/tools/",
    "RUN mkdir C:\\data\\d{n} && echo {n} > C:\\data\\d{n}\\number.txt",
    "WORKDIR C:/place/w{n}",
    'RUN setx /M KEY_{n} "C:\\data\\d{n}"',
    "RUN if not exist C:\\none{n} (reg add HKLM\\SOFTWARE\\Example /v V{n} /t REG_DWORD /d {n} /f)",
)
_POWERSHELL = (
    "New-Item -ItemType Directory -Path C:\\ps\\d{n} -Force | Out-Null",
    "Set-ItemProperty -Path 'HKLM:\\SYSTEM\\CurrentControlSet\\Services\\Dnscache\\Parameters' -Name 'Ttl{n}' -Value {n} -Type DWord",
    (
        "$newPath = ('C:\\go{n}\\bin;{{0}}' -f $env:PATH); Write-Host ('Updating PATH: {{0}}' -f $newPath); "
        "[Environment]::SetEnvironmentVariable('PATH', $newPath, [EnvironmentVariableTarget]::Machine)"
    ),
    "Set-Content -Path C:\\ps\\file{n}.txt -Value 'text {n}'; if (Test-Path C:\\ps\\file{n}.txt) {{ Write-Host 'there' }} else {{ throw 'not there' }}",
    "foreach ($name in @('a', 'b', 'c')) {{ New-Item -ItemType Directory -Path (Join-Path 'C:\\many{n}' $name) | Out-Null }}",
    (
        "$version = '1.{n}.0'; $url = 'https://registry.example/go{{0}}.zip' -f $version; $sha = 'e' * 64; "
        "if ($url.Length -gt 0 -and $sha.Length -eq 64) {{ Write-Host ('Version {{0}} ({{1}}) ...' -f $version, $sha) }}"
    ),
    "Remove-Item -Path C:\\ps\\file{n}.txt -Force -ErrorAction SilentlyContinue; Set-Service -Name 'w32time' -StartupType Manual",
)


def dockerfile(steps: int, *, powershell: bool) -> str:
    """A Dockerfile of so many steps; every third is PowerShell, or none is."""
    lines = [
        "FROM mcr.microsoft.com/windows/servercore:ltsc2022 AS tools",
        "FROM mcr.microsoft.com/windows/servercore:ltsc2022",
    ]
    for number in range(steps):
        if powershell and number % 3 == 2:
            text = _POWERSHELL[number // 3 % len(_POWERSHELL)].format(n=number)
            lines.append(f'RUN powershell -Command "{text}"')
        else:
            lines.append(_PLAIN[number % len(_PLAIN)].format(n=number))
    return "\n".join(lines) + "\n"


def planned(text: str) -> Plan:
    """The plan, with what the bases' names say of them."""
    read = parse_dockerfile(text.encode(), "Dockerfile")
    options = Options(host=Platform("linux", "amd64"))
    return plan_dockerfile(read, options, facts=assume_facts, windows=begin_stage, graph=make_graph(read, options))


def main() -> None:
    """Prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    gc.set_threshold(50_000, 20, 100)  # as the command line does
    for powershell in (False, True):
        text = dockerfile(_STEPS, powershell=powershell)
        plan = planned(text)
        impossible = [step.why for _, step in plan.impossible()]
        assert not impossible, impossible[0]
        times = []
        for _ in range(options.rounds):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
            planned(text)
            times.append(resource.getrusage(resource.RUSAGE_SELF).ru_utime - before)
        spread = Spread.of(times)
        what = "a third of them PowerShell" if powershell else "none of them PowerShell"
        met = "met" if spread.median <= _BOUND else "NOT MET"
        shown = f"{spread.median * 1000:.0f} ms ({spread.low * 1000:.0f}-{spread.high * 1000:.0f})"
        print(f"plan of {_STEPS} steps, {what}: {shown} of a processor, ≤ {_BOUND * 1000:.0f} ms {met}", flush=True)


if __name__ == "__main__":
    main()
