#!/bin/sh
# Installs the Debian packages that the system tests and benchmarks need. Says what it does; does nothing when
# everything is there. `--check` only says what is missing.
set -eu
# program:package:what it is needed for
needed='
git:git:the tests make repositories, for the VCS stamp and {{.Commit}}
docker-registry:docker-registry:a real registry without the referrers API
skopeo:skopeo:reads and copies our images, as an independent reader
buildah:buildah:pulls our images, as an independent reader; a peer of the benchmarks
umoci:umoci:reads our OCI layouts, as an independent reader
bsdtar:libarchive-tools:reads our layers, as an independent reader
qemu-x86_64:qemu-user:packs under an old CPU, to prove that digests do not depend on it
qemu-aarch64:qemu-user:packs under arm64, to prove the same
tmux:tmux:runs wingo in a terminal, to see what a person sees
openssl:openssl:makes certificates for the tests of TLS
gzip:gzip:reads our layers, as an independent reader
gcc:gcc libc6-dev:compiles a program that needs cgo
objdump:binutils:reads the Windows programs that wingo writes
crun:crun:starts Linux images, as an OCI runtime
runc:runc:the same
bwrap:bubblewrap:starts Linux images where there is no OCI runtime
fuse-overlayfs:fuse-overlayfs:stacks layers where the kernel does not
slirp4netns:slirp4netns:gives containers a way outside
pasta:passt:the same
ip:iproute2:makes a network, to test that way in
newuidmap:uidmap:gives the containers of an ordinary user more than one user
wine64:wine64:starts Windows images, without a display
wixl:wixl:makes an MSI installer, which Wine runs in a Dockerfile
ssh-agent:openssh-client:keeps a key that a step of a Dockerfile signs with
hivexsh:libhivex-bin python3-hivex:reads our registry hives, as an independent reader
busybox:busybox-static:the small Linux base on which Dockerfiles are built
debootstrap:debootstrap:a real distribution, in which a Dockerfile installs packages
setcap:libcap2-bin:gives a file capabilities, which a layer must keep
zsh:zsh:runs the completion script for it
fish:fish:runs the completion script for it
chromium:chromium:opens the pages of inspect and diff, to check that everyone can use them
7z:p7zip-full:makes an archive that wingo build unpacks with it
innoextract:innoextract:must refuse what is no installer, when wingo build unpacks with it
osslsigncode:osslsigncode:signs a program, whose build information must stay the same
'
missing='' packages=''
old_ifs=$IFS
IFS='
'
for line in $needed; do
    program=${line%%:*} rest=${line#*:}
    package=${rest%%:*} reason=${rest#*:}
    if ! PATH="$PATH:/usr/sbin:/sbin:/usr/lib/wine" command -v "$program" >/dev/null 2>&1; then
        missing="$missing  $program ($package): $reason
"
        case " $packages " in *" $package "*) ;; *) packages="$packages $package" ;; esac
    fi
done
IFS=$old_ifs
if [ -z "$missing" ]; then exit 0; fi
if [ "${1:-}" = --check ]; then
    printf 'missing for the system tests:\n%s' "$missing"
    exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
    printf 'This is not Debian, so please install these yourself; the tests that need them will skip:\n%s' "$missing" >&2
    [ -z "${CI:-}" ] # in CI nothing may be missing
    exit
fi
sudo=''
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        printf 'Not root, and there is no sudo: run "apt-get install%s" as root.\nMissing, so tests that need them will skip:\n%s' \
            "$packages" "$missing" >&2
        [ -z "${CI:-}" ]
        exit
    fi
    sudo=sudo
fi
printf 'Installing Debian packages for the system tests:\n%s' "$missing" >&2
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -q >&2 </dev/null
# docker-registry would start a server of its own on port 5000; the tests start theirs
policy=/usr/sbin/policy-rc.d
if ! [ -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null && $sudo chmod 755 "$policy"
    trap '$sudo rm -f "$policy"' EXIT
fi
# shellcheck disable=SC2086 # a list of words
$sudo apt-get install -qy --no-install-recommends $packages >&2 </dev/null
