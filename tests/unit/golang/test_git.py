"""What git is asked, and what is read without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from wingo.errors import RequestError
from wingo.golang.git import Repository, find_repository, template_values, vcs_state, web_address
from wingo.golang.runner import Completed

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeGit:
    """Answers as git would, by the first argument."""

    def __init__(self, **answers: str | None) -> None:
        self.answers = answers
        self.ran: list[str] = []

    def run(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], input: bytes | None = None) -> Completed:
        self.ran.append(argv[1])
        answer = self.answers.get(argv[1].replace("-", "_"))
        return Completed(128, b"", b"fatal: no") if answer is None else Completed(0, answer.encode(), b"")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "repo" / ".git" / "refs" / "tags" / "deep").mkdir(parents=True)
    (tmp_path / "repo" / "sub").mkdir()
    (tmp_path / "repo" / ".git" / "config").write_text('[remote "origin"]\n\turl = git@example.com:o/r.git\n')
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text("")
    git.chmod(0o755)
    return tmp_path


def environment(tree: Path, **more: str) -> dict[str, str]:
    return {"PATH": str(tree / "bin"), **more}


def status(commit: str = COMMIT, *changes: str) -> str:
    return "\n".join([f"# branch.oid {commit}", "# branch.head main", *changes, ""])


def test_the_repository_is_looked_for_upwards(tree: Path) -> None:
    assert find_repository(str(tree / "repo" / "sub")) == Repository(str(tree / "repo"), "git")
    assert find_repository(str(tree / "bin")) is None
    (tree / "repo" / "sub" / ".hg").mkdir()
    assert find_repository(str(tree / "repo" / "sub")) == Repository(str(tree / "repo" / "sub"), "other")


def test_one_status_tells_the_stamp(tree: Path) -> None:
    repository = Repository(str(tree / "repo"), "git")
    git = FakeGit(status=status())
    clean = vcs_state(repository, environment(tree), git)
    assert git.ran == ["status"]
    assert clean.facts is not None
    assert (clean.facts.revision, clean.facts.modified, clean.facts.source) == (
        COMMIT,
        False,
        "https://example.com/o/r",
    )
    tokens = {clean.token}
    for answer in (status(COMMIT, "? untracked"), status(COMMIT[::-1]), status("(initial)")):
        tokens.add(vcs_state(repository, environment(tree), FakeGit(status=answer)).token)
    (tree / "repo" / ".git" / "refs" / "tags" / "deep" / "v1").write_text(COMMIT)
    tokens.add(vcs_state(repository, environment(tree), git).token)
    (tree / "repo" / ".git" / "refs" / "tags" / "deep" / "v1").write_text(COMMIT[::-1])
    tokens.add(vcs_state(repository, environment(tree), git).token)
    (tree / "repo" / ".git" / "packed-refs").write_text("")
    tokens.add(vcs_state(repository, environment(tree), git).token)
    assert len(tokens) == 7
    assert "" not in tokens


def test_what_cannot_be_told_has_no_token(tree: Path) -> None:
    repository = Repository(str(tree / "repo"), "git")
    assert vcs_state(repository, environment(tree), FakeGit()).token == "", "git says no: dubious ownership"
    assert vcs_state(Repository("/x", "other"), environment(tree), FakeGit()).token == ""
    assert vcs_state(repository, {"PATH": "/nowhere"}, FakeGit()).token == "no git", "as go: no stamp"


def test_a_linked_working_tree_has_its_tags_elsewhere(tree: Path) -> None:
    own = tree / "repo" / ".git" / "worktrees" / "w"
    own.mkdir(parents=True)
    (own / "commondir").write_text("../..\n")
    (tree / "w").mkdir()
    (tree / "w" / ".git").write_text(f"gitdir: {own}\n")
    repository = Repository(str(tree / "w"), "git")
    git = FakeGit(status=status())
    before = vcs_state(repository, environment(tree), git)
    assert before.facts is not None
    assert before.facts.source == "https://example.com/o/r"
    (tree / "repo" / ".git" / "refs" / "tags" / "v2").write_text(COMMIT)
    assert vcs_state(repository, environment(tree), git).token != before.token


def test_values_run_only_what_they_need(tree: Path) -> None:
    answers = {
        "log": f"{COMMIT} 0123456 1700000000\n",
        "describe": "v1.0.0-3-g0123456-dirty\n",
        "rev_parse": "main\n",
        "status": "?? x\n",
    }
    directory = str(tree / "repo")

    def values(*names: str, **more: str) -> tuple[dict[str, str], list[str]]:
        git = FakeGit(**answers)
        return template_values(names, directory, environment(tree, **more), git), git.ran

    assert values("ShortCommit", "CommitDate")[0]["CommitDate"] == "2023-11-14T22:13:20Z"
    assert values("ShortCommit", "CommitDate")[1] == ["log"]
    assert values("Version") == ({"Version": "v1.0.0-3-g0123456-dirty"}, ["describe"])
    assert values("Branch", "TreeState")[0] == {
        "Branch": "main", "TreeState": "dirty", "IsDirty": "true", "IsClean": "false",
    }  # fmt: skip
    assert values("Date", SOURCE_DATE_EPOCH="86400") == ({"Date": "1970-01-02T00:00:00Z", "Timestamp": "86400"}, [])
    assert values("Date")[0]["Date"] == "2023-11-14T22:13:20Z"
    assert values() == ({}, [])


def test_a_tag_that_is_not_there_is_kos_v0(tree: Path) -> None:
    assert template_values(["Tag"], str(tree / "repo"), environment(tree), FakeGit()) == {"Tag": "v0.0.0"}


def test_never_now(tree: Path) -> None:
    assert template_values(["Date"], str(tree / "bin"), environment(tree), FakeGit())["Date"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize("epoch", ["now", "-1", "1.5", "9" * 30])
def test_a_wrong_epoch_is_refused(tree: Path, epoch: str) -> None:
    with pytest.raises(RequestError, match="SOURCE_DATE_EPOCH"):
        template_values(["Date"], str(tree), environment(tree, SOURCE_DATE_EPOCH=epoch), FakeGit())


def test_no_git_and_no_commit_are_errors_that_help(tree: Path) -> None:
    with pytest.raises(RequestError, match="needs git") as caught:
        template_values(["Commit"], str(tree / "repo"), {"PATH": ""}, FakeGit())
    assert caught.value.hint
    with pytest.raises(RequestError, match="fatal: no"):
        template_values(["Commit"], str(tree / "repo"), environment(tree), FakeGit())


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/o/r.git", "https://github.com/o/r"),
        ("https://token:x@github.com/o/r", "https://github.com/o/r"),
        ("https://token@github.com:8443/o/r/", "https://github.com/o/r"),
        ("git@github.com:o/r.git", "https://github.com/o/r"),
        ("ssh://git@example.com:2222/o/r", "https://example.com/o/r"),
        ("/srv/git/r.git", ""),
        ("file:///srv/r", ""),
        ("../r", ""),
        ("https://a:b@c@d/e", ""),
        ("https://d/e?token=x", ""),
        ("", ""),
    ],
)
def test_remotes_become_web_addresses_without_credentials(remote: str, address: str) -> None:
    assert web_address(remote) == address
