"""What a user of buildx types: `--output`, `--platform`, `--target`, `--build-context`, `--secret`, each really built."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.test_dockerfile import GO, Layout, Site, small_base
from wingo.stores.layout import Layout as Writer
from wingo.testing.registry import RegistryServer

APP = (
    "FROM alpine AS first\nRUN echo first > /name\n"
    'FROM alpine AS app\nCOPY main.go /src/\nRUN echo app > /name && ln -s name /link\nCMD ["cat", "/name"]\n'
)
FILES = "FROM scratch\nCOPY main.go go.mod /\n"


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        server.add("hub/library/alpine:latest", small_base())
        yield server


@pytest.fixture
def site(tmp_path: Path, registry: RegistryServer) -> Site:
    return Site(tmp_path, registry)


def build(site: Site, dockerfile: str, *flags: str, status: int = 0) -> str:
    site.write("Dockerfile", dockerfile)
    assert site.run("build", "-f", "app/Dockerfile", "app", *flags) == status, site.said
    return site.host.out.getvalue()


def test_local_directories_and_tars(site: Site) -> None:
    build(site, APP, "-o", "tree")
    tree = site.folder / "tree"
    assert (tree / "name").read_text() == "app\n"
    assert (tree / "link").is_symlink()
    assert (tree / "bin/busybox").exists(), "the base's files are there too"
    assert "wrote tree" in site.said
    build(site, APP, "--target", "first", "-o", "type=local,dest=other")
    assert (site.folder / "other/name").read_text() == "first\n"
    build(site, FILES, "-o", "type=tar,dest=files.tar")
    with tarfile.open(site.folder / "files.tar") as tar:
        assert sorted(tar.getnames()) == ["go.mod", "main.go"]
    build(site, FILES, "-o", "files.d", "-o", f"oci:{site.folder}/both:t", "-t", "registry.example/x:v1")
    assert Layout(site.folder / "both").manifest["layers"]
    assert (site.folder / "files.d/go.mod").exists()


def test_a_tar_on_standard_output_and_nothing_else(site: Site) -> None:
    site.write("Dockerfile", FILES)
    for output in ("-", "type=tar"):
        done = subprocess.run(
            [Path(sys.executable).parent / "wingo", "build", "-f", "app/Dockerfile", "app", "-o", output],
            cwd=site.folder,
            env={**site.environment, "WINGO_CACHE_DIR": str(site.cache)},
            capture_output=True,
            check=True,
        )
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            assert sorted(tar.getnames()) == ["go.mod", "main.go"]
    build(site, FILES, "-o", "-", "--json", status=2)


def test_archives_and_registries(site: Site) -> None:
    name = f"{site.registry.host}/team/app:v1"
    build(site, APP, "-o", "type=oci,dest=app.tar", "-o", f"type=docker,dest=docker.tar,name={name}")
    with tarfile.open(site.folder / "app.tar") as tar:
        assert "oci-layout" in tar.getnames()
    with tarfile.open(site.folder / "docker.tar") as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        assert json.loads(manifest.read())[0]["RepoTags"] == [name]
    build(site, APP, "-o", "type=oci,dest=layout,tar=false")
    assert (site.folder / "layout/oci-layout").exists()
    pushed = build(site, APP, "-o", f"type=registry,name={name}").strip()
    assert pushed.startswith(f"{site.registry.host}/team/app")
    assert site.run("inspect", pushed) == 0
    assert build(site, APP, "-o", f'type=image,"name={name},{name}-b",push=true').count("sha256:") == 1
    assert site.run("inspect", f"{name}-b") == 0
    build(site, APP, "-o", "type=docker", status=2)
    assert "docker load" in site.said


def test_several_platforms(site: Site) -> None:
    dockerfile = (
        f"FROM --platform=$BUILDPLATFORM golang:{GO} AS b\nARG TARGETARCH\nCOPY . .\n"
        "RUN CGO_ENABLED=0 GOARCH=$TARGETARCH go build -o /app .\nFROM scratch\nCOPY --from=b /app /\n"
    )
    both = ("--platform", "linux/amd64,linux/arm64")
    build(site, dockerfile, *both, "-o", f"oci:{site.folder}/out:t", "-o", "tree")
    index = json.loads((site.folder / "out/index.json").read_text())
    documents = json.loads(Layout(site.folder / "out").blob(index["manifests"][0]["digest"]))
    assert [entry["platform"]["architecture"] for entry in documents["manifests"]] == ["amd64", "arm64"]
    machines = {
        name: (site.folder / "tree" / f"linux_{name}" / "app").read_bytes()[18:20] for name in ("amd64", "arm64")
    }
    assert machines == {"amd64": b"\x3e\x00", "arm64": b"\xb7\x00"}
    build(site, dockerfile, *both, "-o", "type=tar,dest=x.tar", status=2)
    assert "one platform, not of 2" in site.said
    assert not (site.folder / "x.tar").exists()


def test_build_contexts_of_every_kind(site: Site) -> None:
    (site.folder / "beside").mkdir()
    (site.folder / "beside/file").write_text("beside\n")
    Writer(str(site.folder / "layout")).write(small_base(), ("v1",))
    dockerfile = "FROM mine\nCOPY --from=beside file /file\nCOPY --from=other /etc/passwd /passwd\n"
    flags = (
        "--build-context", "beside=beside", "--build-context", "other=docker-image://alpine:latest",
        "--build-context", "mine=oci-layout://layout:v1",
    )  # fmt: skip
    layout = site.build(dockerfile, *flags)
    assert layout.read(1, "file") == b"beside\n"
    assert layout.read(2, "passwd").startswith(b"root:")
    assert not any("invalid" in str(value) for value in layout.manifest.get("annotations", {}).values())
    digest = json.loads((site.folder / "layout/index.json").read_text())["manifests"][0]["digest"]
    pinned = (*flags[:4], "--build-context", f"mine=oci-layout://layout:v1@{digest}")
    assert site.build(dockerfile, *pinned).manifest["layers"] == layout.manifest["layers"]
    wrong = (*flags[:4], "--build-context", f"mine=oci-layout://layout:v1@sha256:{'0' * 64}")
    site.build(dockerfile, *wrong, status=2)
    assert "the layout has no sha256:" in site.said
    site.build(dockerfile, "--build-context", "beside=https://host.example/x.git", status=2)
    assert "or ADD it in the Dockerfile" in site.said
    site.build(dockerfile, *flags[:4], "--build-context", "mine=oci-layout://nowhere", status=2)


def test_secrets_from_files_and_variables(site: Site) -> None:
    (site.folder / "key").write_text("from a file")
    site.environment["TOKEN"] = "from a variable"
    dockerfile = (
        "FROM alpine\nRUN --mount=type=secret,id=a --mount=type=secret,id=TOKEN,env=T --mount=type=secret,id=b,target=/b "
        'sha256sum /run/secrets/a /b | cut -c1-8 > /sums; printf %s "$T" | sha256sum | cut -c1-8 >> /sums\n'
    )
    layout = site.build(
        dockerfile, "--secret", "id=a,src=key", "--secret", "id=TOKEN", "--secret", "type=env,id=b,env=TOKEN"
    )
    import hashlib

    sums = [hashlib.sha256(text).hexdigest()[:8] for text in (b"from a file", b"from a variable", b"from a variable")]
    assert layout.read(1, "sums").decode().split() == sums
    everything = b"".join(layout.blob(layer["digest"]) for layer in layout.manifest["layers"])
    assert b"from a" not in everything
    site.build(dockerfile.replace("id=a ", "id=a,required "), "--secret", "id=TOKEN", status=2)
    assert "needs the secret a" in site.said
