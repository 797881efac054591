#!/bin/sh
# Builds the Go programs that the system tests and benchmarks use beside us, in pinned versions, into .tools/bin.
# Run it through scripts/run. `go-peers.sh` builds those of `make test`; `go-peers.sh NAME...` builds these.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
bin="$root/.tools/bin"
mkdir -p "$bin"

program() { # name -> module, version, package
    case $1 in
        crane) echo github.com/google/go-containerregistry v0.22.1 cmd/crane ;;   # an independent reader
        olareg) echo github.com/olareg/olareg v0.1.2 cmd/olareg ;;               # a registry with referrers
        ko) echo github.com/google/ko v0.19.1 . ;;                               # what its layers lack; benchmarks  
        dive) echo github.com/wagoodman/dive v0.13.1 . ;;                        # looks into images; bench.looking
        syft) echo github.com/anchore/syft v1.57.1 cmd/syft ;;                   # lists an image's packages; bench.looking
        buildkitd) echo github.com/moby/buildkit v0.27.1 cmd/buildkitd ;;        # builds Dockerfiles; bench.dockerfiles
        buildctl) echo github.com/moby/buildkit v0.27.1 cmd/buildctl ;;          # asks it to
        govulncheck) echo golang.org/x/vuln v1.9.0 cmd/govulncheck ;;            # finds known vulnerabilities in programs
        zot) echo zotregistry.dev/zot/v2 v2.1.20 cmd/zot ;;                      # a registry; takes minutes
        *) echo "go-peers: no program $1" >&2; return 1 ;;
    esac
}

# In a module of its own: `go install PACKAGE@VERSION` asks the proxy for the list of the module's versions,
# which not every mirror serves. CGO_ENABLED=0: no C compiler is needed.
build() ( # name module version package
    module=$(mktemp -d)
    trap 'rm -rf "$module"' EXIT
    cd "$module"
    export CGO_ENABLED=0 GOFLAGS=-mod=mod GOWORK=off GOTOOLCHAIN=auto
    if [ "$1" = zot ]; then export GOEXPERIMENT=jsonv2; fi
    package=$2/$4
    go mod init example/peer 2>/dev/null
    go mod edit "-require=$2@$3"
    go build -trimpath -o "$bin/$1" "${package%/.}" </dev/null
)

[ $# -gt 0 ] || set -- crane olareg ko
for name; do
    wanted=$(program "$name")
    if [ "$(cat "$bin/.$name.version" 2>/dev/null)" = "$wanted" ] && [ -x "$bin/$name" ]; then continue; fi
    echo "go-peers: building $wanted" >&2
    # shellcheck disable=SC2086 # three words
    build "$name" $wanted
    echo "$wanted" > "$bin/.$name.version"
done
