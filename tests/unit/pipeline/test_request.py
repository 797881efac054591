from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.pipeline.request import check_one_name_each, read_request
from wingo.pipeline.settings import Settings


class Host:
    def __init__(self, **environment):
        self.environment = environment
        self.directory = "/somewhere"


def _request(environment=None, **settings):
    return read_request((".",), Settings(**settings), Host(**(environment or {})))


def test_names_are_filled_in_and_get_a_tag():
    request = _request(name=("registry.example/team/{name}",), push=True)
    assert [str(name) for name in request.names_of("app")] == ["registry.example/team/app:latest"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"push": True}, "--push needs a name"),
        ({"name": ("registry.example/app",)}, "nothing says where"),
        ({"output": ("registry.example/app",)}, "no local place"),
        ({"name": ("Registry.Example/App",), "push": True}, "not a reference"),
        ({"name": ("r.example/a@sha256:" + "0" * 64,), "push": True}, "has a digest"),
    ],
)
def test_contradictions_are_refused_before_anything_is_done(settings, message):
    with pytest.raises(RequestError, match=message):
        _request(**settings)


@pytest.mark.parametrize(("text", "epoch"), [("", 0), ("0", 0), ("1700000000", 1700000000)])
def test_the_epoch_is_read(text, epoch):
    assert _request({"SOURCE_DATE_EPOCH": text}).epoch == epoch


@pytest.mark.parametrize("text", ["now", "-1", "1.5", "٣", "9" * 30])
def test_a_wrong_epoch_is_refused(text):
    with pytest.raises(RequestError, match="SOURCE_DATE_EPOCH"):
        _request({"SOURCE_DATE_EPOCH": text})


@pytest.mark.parametrize(
    "settings",
    [
        {"name": ("registry.example/app:v1",), "push": True},
        {"output": ("oci-archive:app.tar",)},
        {"output": ("oci:out:v1",)},
    ],
)
def test_several_programs_need_several_names(settings):
    request = _request(**settings)
    check_one_name_each(request, 1)
    with pytest.raises(RequestError, match="2 programs") as caught:
        check_one_name_each(request, 2)
    assert "{name}" in caught.value.hint


@pytest.mark.parametrize(
    "settings", [{"name": ("registry.example/{name}:v1",), "push": True}, {"output": ("oci:out",)}]
)
def test_names_that_tell_them_apart_are_fine(settings):
    check_one_name_each(_request(**settings), 5)
