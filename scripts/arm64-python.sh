#!/bin/sh
# Makes .tools/arm64/python: an arm64 Python with wingo's dependencies, run by qemu-aarch64, for the test that packing
# gives the same bytes on another architecture. No root is needed: Debian packages are downloaded and unpacked, wheels
# come from PyPI in the versions of uv.lock. Needs apt-get, dpkg-deb, qemu-aarch64 (package qemu-user) and uv.
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
place=$root/.tools/arm64
python=$place/python
[ -x "$python" ] && [ "$python" -nt "$root/uv.lock" ] && exit 0

for tool in apt-get apt-cache dpkg-deb qemu-aarch64; do
    command -v "$tool" >/dev/null || { echo "arm64-python: $tool is missing (Debian: apt, dpkg, qemu-user)" >&2; exit 1; }
done
uv=$(command -v uv || echo "$root/.tools/uv/bin/uv")
[ -x "$uv" ] || { echo "arm64-python: uv is missing; run make first, which installs it" >&2; exit 1; }

rm -rf "$place"
mkdir -p "$place/apt/lists/partial" "$place/apt/archives/partial" "$place/sysroot" "$place/site"
: >"$place/apt/status"

# An apt of our own, for arm64, with the machine's sources: only the Debian ones, others may have no arm64.
cat >"$place/apt/apt.conf" <<EOF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "";
Acquire::Languages "none";
Dir::State "$place/apt";
Dir::State::status "$place/apt/status";
Dir::State::lists "$place/apt/lists";
Dir::Cache "$place/apt";
Dir::Cache::archives "$place/apt/archives";
Dir::Etc::sourcelist "/etc/apt/sources.list";
EOF
mkdir "$place/apt/sources"
for file in /etc/apt/sources.list.d/debian*; do
    if [ -e "$file" ]; then cp "$file" "$place/apt/sources/"; fi
done
if [ -z "$(ls "$place/apt/sources")" ] && ! grep -qs debian /etc/apt/sources.list; then
    echo "arm64-python: apt has no Debian sources here" >&2
    exit 1
fi
echo "Dir::Etc::sourceparts \"$place/apt/sources\";" >>"$place/apt/apt.conf"
export APT_CONFIG="$place/apt/apt.conf"

echo "arm64-python: downloading an arm64 Python from Debian into .tools/arm64" >&2
apt-get -qq update
cd "$place/apt/archives"
version=$(apt-cache depends python3-minimal | sed -n 's/^ *PreDepends: \(python3\.[0-9]*\)-minimal$/\1/p')
# The interpreter, its library, and what those and the wheels are linked with.
apt-get -qq download "$version-minimal" "lib$version-minimal" "lib$version-stdlib" \
    $(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
        "$version-minimal" "lib$version-stdlib" | grep -E '^(libc6|libgcc-s1|libstdc\+\+6|lib[a-z0-9]+t64|zlib1g|libexpat1|libssl3|libcrypt1|libffi8|libbz2-1\.0|liblzma5|libuuid1)$' | sort -u)
for package in *.deb; do
    dpkg-deb -x "$package" "$place/sysroot"
done

"$uv" export --quiet --locked --project "$root" --no-default-groups --no-emit-project --format requirements.txt \
    --output-file "$place/requirements.txt" >/dev/null
"$uv" pip install --quiet --target "$place/site" --only-binary :all: --require-hashes \
    --python-platform aarch64-unknown-linux-gnu --python-version "${version#python}" -r "$place/requirements.txt"

cat >"$python" <<EOF
#!/bin/sh
PYTHONHOME="$place/sysroot/usr" PYTHONPATH="$place/site:$root/src" PYTHONDONTWRITEBYTECODE=1 \\
    exec qemu-aarch64 -L "$place/sysroot" "$place/sysroot/usr/bin/$version" "\$@"
EOF
chmod +x "$python"
cd "$root"
rm -rf "$place/apt"
"$python" -c 'import platform, deflate, msgspec, zstandard; assert platform.machine() == "aarch64"'
