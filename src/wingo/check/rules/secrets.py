"""What does not belong into an image: keys, tokens, histories of sources, files with passwords."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wingo.check.finding import Problem, Severity
from wingo.check.rule import Group, image_rule, layer_rule
from wingo.check.secrets import SecretKind, secrets_in
from wingo.check.subject import ImageSubject, LayerSubject

_CREDENTIALS = re.compile(
    r"""(?:\A|/)(?:
        \.env(?:\.(?!example|sample|template|dist|defaults?\Z)[\w.-]+)? | \.netrc | _netrc | \.npmrc | \.pypirc | \.pgpass | \.git-credentials
        | \.docker/config\.json | \.aws/credentials | \.kube/config | \.azure/accessTokens\.json
        | application_default_credentials\.json | id_(?:rsa|dsa|ecdsa|ed25519) | [^/]+\.(?:pfx|p12|jks|keystore|kdbx)
    )\Z""",
    re.VERBOSE | re.IGNORECASE,
)
_GIT = re.compile(r"(?:\A|/)\.(?:git|hg|svn|bzr)/(?=HEAD\Z|config\Z|objects/|hgrc\Z|store/|wc\.db\Z|branch/)")
_SECRET_NAME = re.compile(r"(?i)(?:pass(?:word|wd)?|secret|token|api_?key|access_?key|private_?key|credentials?)\Z")
_NOT_SECRET = re.compile(r"(?i)\A(?:\s*|true|false|none|null|/.*|[a-z]:\\.*|file:.*|\$\{?\w+\}?|%\w+%)\Z")


def _of_kind(layer: LayerSubject, kind: SecretKind, hint: str) -> Iterator[Problem]:
    for member in layer.members:
        for secret in layer.secrets.get(member.offset, ()):
            if secret.kind is kind:
                yield Problem(
                    message=f"{member.name} has {secret.what} in line {secret.line}", hint=hint, path=member.name
                )


@layer_rule("WGO451", Severity.ERROR, Group.SECRETS)
def no_private_keys(layer: LayerSubject) -> Iterator[Problem]:
    """No private key is in a layer.

    Why:
        Whoever may pull the image has the key. That a later layer removes it changes nothing: the layer that has it is
        still pulled.

    Example:
        A TLS key beside its certificate; `~/.ssh/id_ed25519` copied to fetch private modules.
    Mend:
        Take it out of the layer, make a new key, and give it to containers as a secret of the orchestrator.
    """
    yield from _of_kind(layer, SecretKind.KEY, "Take it out, make a new key, and mount it as a secret.")


@layer_rule("WGO452", Severity.ERROR, Group.SECRETS)
def no_tokens(layer: LayerSubject) -> Iterator[Problem]:
    """No access token is in a layer.

    Why:
        Tokens of services have a prefix by which they are known, and published images are searched for them.

    Example:
        A `.npmrc` with `npm_…`, a `.docker/config.json` with `"auth"`, `ghp_…` in a configuration.
    Mend:
        Take it out, revoke it, and give it to containers as a secret of the orchestrator.
    """
    yield from _of_kind(layer, SecretKind.TOKEN, "Take it out, revoke it, and mount the new one as a secret.")


@layer_rule("WGO453", Severity.WARNING, Group.SECRETS)
def no_version_control(layer: LayerSubject) -> Iterator[Problem]:
    """No repository's history is in a layer.

    Why:
        It has every version of every file, those with passwords too, and is often larger than the program.

    Example:
        `COPY . .` without `.dockerignore`.
    Mend:
        Copy what is needed, or list `.git` in `.dockerignore`.
    """
    found: dict[str, int] = {}
    marked: set[str] = set()
    for member in layer.members:
        match = _GIT.search(member.name)
        if match is not None:
            marked.add(member.name[: match.end()])
        at = re.search(r"(?:\A|/)\.(?:git|hg|svn|bzr)/", member.name)
        if at is not None:
            found[member.name[: at.end()]] = found.get(member.name[: at.end()], 0) + member.size
    for name in sorted(marked):
        yield Problem(
            message=f"{name} is a repository's history, {found[name] / 1e6:.1f} MB",
            hint="List it in .dockerignore, or copy what is needed only.",
            path=name.rstrip("/"),
            win=found[name],
        )


@layer_rule("WGO454", Severity.WARNING, Group.SECRETS)
def no_credential_files(layer: LayerSubject) -> Iterator[Problem]:
    """No file whose purpose is to hold passwords is in a layer.

    Why:
        Whoever may pull the image can read it.

    Example:
        `.env`, `.netrc`, `.aws/credentials`, `id_rsa`, a `.pfx` with the key inside.
    Mend:
        List it in `.dockerignore`; give its content to containers as a secret of the orchestrator.
    """
    for member in layer.members:
        if member.size and _CREDENTIALS.search(member.name):
            yield Problem(
                message=f"{member.name} is a file for passwords or keys",
                hint="List it in .dockerignore, and mount its content as a secret.",
                path=member.name,
            )


@image_rule("WGO455", Severity.WARNING, Group.SECRETS)
def no_secrets_in_config(image: ImageSubject) -> Iterator[Problem]:
    """No password is in the config: neither in the environment nor in the history.

    Why:
        The config is readable for whoever may pull, and is shown by every tool. `--build-arg` stands in the history.

    Example:
        `ENV DB_PASSWORD=…`; `ARG TOKEN` used in a RUN.
    Mend:
        Give it to containers when they start; use `RUN --mount=type=secret` for builds.
    """
    for item in image.settings.env or ():
        name, _, value = item.partition("=")
        if (_SECRET_NAME.search(name) and not _NOT_SECRET.match(value)) or secrets_in(value.encode()):
            yield Problem(
                message=f"the environment has a value for {name[:80]}",
                hint="Give it to containers when they start, as a secret.",
            )
    for number, line in enumerate(image.config.history or (), 1):
        for secret in secrets_in(line.created_by.encode()):
            yield Problem(
                message=f"line {number} of the history has {secret.what}",
                hint="Revoke it, and use RUN --mount=type=secret.",
                severity=Severity.ERROR,
            )
