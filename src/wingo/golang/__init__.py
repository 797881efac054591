"""Go programs: finding or providing a toolchain, `go build` as a value, and knowing when it need not run.

```python
toolchain = find_toolchain(environment, runner, python_path=sys.path)
go = Go(toolchain, runner=runner, environment=environment, cache=f"{cache_directory}/go")
requests = go.requests(["./cmd/..."], "/src/app", [("windows", "amd64", ""), ("linux", "arm64", "")], GoFlags())
for checked in go.check(requests):          # one look at the file system for all of them, no go
    if checked.fresh:
        binaries, notes = checked.binaries, checked.notes
    else:                                   # in a thread each, within --jobs
        built = go.build(checked)           # one `go build` for all packages of the request
        binaries, notes = built.binaries, built.notes
```

A `Binary` has the path of the executable (in the cache, named for its content, never written again), its sha256, and
what labels need: import path, source directory, module, version, commit.
"""

from __future__ import annotations

from wingo.golang.builds import BuildRequest, Built, Checked, Go
from wingo.golang.command import GoFlags
from wingo.golang.fingerprint import Binary
from wingo.golang.runner import Completed, Runner
from wingo.golang.toolchain import Toolchain, find_toolchain

__all__ = [
    "Binary",
    "BuildRequest",
    "Built",
    "Checked",
    "Completed",
    "Go",
    "GoFlags",
    "Runner",
    "Toolchain",
    "find_toolchain",
]
