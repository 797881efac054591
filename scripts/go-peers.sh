#!/bin/sh
# Builds the Go programs that the system tests and benchmarks use beside us, in pinned versions, into .tools/bin.
# Run it through scripts/run. `go-peers.sh` builds those of `make test`; `go-peers.sh NAME...` builds these.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
bin="$root/.tools/bin"
mkdir -p "$bin"

program() { # name -> what to build, at which version
    case $1 in
        crane) echo github.com/google/go-containerregistry/cmd/crane@v0.22.1 ;;   # an independent reader
        olareg) echo github.com/olareg/olareg/cmd/olareg@v0.1.2 ;;               # a registry with referrers
        ko) echo github.com/google/ko@v0.19.1 ;;                                 # the peer of the benchmarks
        zot) echo zotregistry.dev/zot/v2/cmd/zot@v2.1.20 ;;                      # a registry; takes minutes
        *) echo "go-peers: no program $1" >&2; return 1 ;;
    esac
}

[ $# -gt 0 ] || set -- crane olareg
for name; do
    wanted=$(program "$name")
    if [ "$(cat "$bin/.$name.version" 2>/dev/null)" = "$wanted" ] && [ -x "$bin/$name" ]; then continue; fi
    echo "go-peers: building $wanted" >&2
    # CGO_ENABLED=0: no C compiler needed; -mod=mod is the default outside a module, whatever GOFLAGS says
    experiment=''
    if [ "$name" = zot ]; then experiment=jsonv2; fi
    (cd "$bin" && GOBIN="$bin" CGO_ENABLED=0 GOFLAGS='' GOWORK=off GOEXPERIMENT="$experiment" GOTOOLCHAIN=auto \
        go install -trimpath "$wanted" </dev/null)
    echo "$wanted" > "$bin/.$name.version"
done
