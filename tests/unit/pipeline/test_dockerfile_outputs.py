"""`-o` of a Dockerfile's build, as people write it for buildx and for wingo."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.pipeline.dockerfile_outputs import Outputs, read_outputs
from wingo.pipeline.request import Export


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("out", Outputs(exports=(Export("out"),))),
        ("./a/b", Outputs(exports=(Export("./a/b"),))),
        ("-", Outputs(exports=(Export("-", tar=True),))),
        ("type=local,dest=out", Outputs(exports=(Export("out"),))),
        ("dest=out,type=local", Outputs(exports=(Export("out"),))),
        ("type=tar", Outputs(exports=(Export("-", tar=True),))),
        ("type=tar,dest=-", Outputs(exports=(Export("-", tar=True),))),
        ("type=tar,dest=x.tar", Outputs(exports=(Export("x.tar", tar=True),))),
        ("type=oci,dest=x.tar", Outputs(places=("oci-archive:x.tar",))),
        ("type=oci,dest=dir,tar=false,compression=gzip", Outputs(places=("oci:dir",))),
        ("type=docker,dest=x.tar,name=registry.example/a:v1", Outputs(places=("docker-archive:x.tar:registry.example/a:v1",))),
        ('type=image,"name=registry.example/a,registry.example/b:v1",push=true', Outputs(names=("registry.example/a", "registry.example/b:v1"), push=True)),
        ("type=registry,name=registry.example/a", Outputs(names=("registry.example/a",), push=True)),
        ("type=image", Outputs()),
        ("type=cacheonly", Outputs()),
        ("oci:dir:v1", Outputs(places=("oci:dir:v1",))),
        ("docker-archive:a=b.tar", Outputs(places=("docker-archive:a=b.tar",))),
        ("a=b", Outputs(exports=(Export("a=b"),))),
    ],
)  # fmt: skip
def test_what_is_written(text: str, found: Outputs) -> None:
    assert read_outputs([text]) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type=loca,dest=x", "there is no type"),
        ("type=local", "needs a dest"),
        ("type=oci", "needs a dest"),
        ("type=oci,dest=-", "needs a dest"),
        ("type=docker", "no Docker daemon"),
        ("type=local,dest=x,push=true", "type=local has no push"),
        ("type=oci,dest=x,compression=zstd", "compression=zstd"),
        ("type=image,push=maybe", "neither true nor false"),
        ('type=local,"dest=x', "-o"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        read_outputs([text])


def test_standard_output_is_one_thing() -> None:
    with pytest.raises(RequestError, match="twice"):
        read_outputs(["-", "type=tar"])
    assert read_outputs(["a", "oci:b"]) == Outputs(places=("oci:b",), exports=(Export("a"),))
