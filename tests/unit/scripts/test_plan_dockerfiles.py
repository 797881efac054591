"""The command that plans a folder of Dockerfiles."""

from __future__ import annotations

import json

from scripts.plan_dockerfiles import main


def test_share(tmp_path, capsys):
    for name, text in {
        "a/Dockerfile": "FROM mcr.microsoft.com/windows/nanoserver:$VERSION\nCOPY x.exe C:/x.exe\n",
        "a/class": "D\n",
        "b/Dockerfile.windows": "# escape=`\nARG TAG\nFROM mcr.microsoft.com/windows/servercore:${TAG}\nRUN msiexec /i x.msi\n",
        "b/source.json": '{"class": "D"}',
        "c/win.Dockerfile": "FROM\n",
        "c/win.Dockerfile.dockerignore": "*\n",
        "d/Dockerfile": "FROM golang AS b\nRUN go build -o /x\nFROM scratch\nCOPY --from=b /x /x\n",
        "d/context/Dockerfile": "not one of them",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert main([str(tmp_path), "--verbose"]) == 0
    out = capsys.readouterr().out
    assert "class D   1 of 2 can be built" not in out  # $VERSION of the first is no argument at all
    assert "b/Dockerfile.windows:4" in out
    assert "in all    1 of 4 can be built (25 %)" in out
    assert main([str(tmp_path), "--json"]) == 0
    results = {item["path"]: item["result"] for item in json.loads(capsys.readouterr().out)}
    assert results == {
        "a/Dockerfile": "error", "b/Dockerfile.windows": "impossible", "c/win.Dockerfile": "error", "d/Dockerfile": "plan",
    }  # fmt: skip
    assert main([]) == 2
