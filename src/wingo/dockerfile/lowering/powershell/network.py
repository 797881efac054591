"""Cmdlets that fetch, unpack and hash: `Invoke-WebRequest`, `Expand-Archive`, `Get-FileHash`, `Import-Certificate`."""

from __future__ import annotations

import re

from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.patterns import is_pattern
from wingo.dockerfile.lowering.powershell.binding import Bound, Cmdlet, cmdlet
from wingo.dockerfile.lowering.powershell.values import Table, Thing, Unknown, Value, text_of
from wingo.dockerfile.lowering.programs.archives import extract, file_hash


def invoke_web_request(bound: Bound) -> list[Value]:
    """`Invoke-WebRequest`, `Invoke-RestMethod`."""
    session = bound.shell.session
    method = bound.text("Method", "Get").lower()
    if method not in ("get", "default") or bound.has("Body") or bound.has("InFile"):
        raise CannotLower(f"{bound.cmdlet} -Method {method} is not lowered", "Only what is fetched by its address is.")
    if bound.has("Credential") or bound.has("Certificate") or bound.switch("UseDefaultCredentials"):
        raise CannotLower(f"{bound.cmdlet} with credentials is not lowered", "COPY the file from the build context.")
    url = bound.text("Uri")
    if not url:
        raise CommandFailed("the parameter Uri is empty")
    if "://" not in url and not has_hole(url):
        url = f"http://{url}"
    if not bound.has("OutFile"):
        return [_response(url)]
    headers = bound.get("Headers")
    pairs = tuple((key, text_of(value)) for key, value in headers.items()) if isinstance(headers, Table) else ()
    if bound.has("UserAgent"):
        pairs = (*pairs, ("User-Agent", bound.text("UserAgent")))
    from wingo.dockerfile.lowering.powershell.places import plain_path

    target = bound.text("OutFile")
    path = session.path(plain_path(session, target))
    there = session.find(path)
    if there is not None and there.is_directory:
        name = re.sub(r"[?#].*", "", url).rpartition("/")[2]
        if not bound.shell.core or not name:
            raise CommandFailed(f"access to the path {target!r} is denied: it is a directory")
        path = (*path, name)
    session.download(url, path, pairs)
    return []


def _response(url: str) -> Thing:
    """What an address answers, which a plan does not know and a build must not depend on."""
    about = f"what {url} answers"
    names = ("Content", "StatusCode", "Headers", "Links", "RawContent", "BaseResponse", "tag_name", "assets")
    return Thing("response", {name: Unknown(about) for name in names}, Unknown(about).text, data="open")


def start_bits_transfer(bound: Bound) -> list[Value]:
    """`Start-BitsTransfer`."""
    session = bound.shell.session
    sources, targets = bound.texts("Source"), bound.texts("Destination")
    for index, url in enumerate(sources):
        name = re.sub(r"[?#].*", "", url).rpartition("/")[2]
        path = session.path(targets[index] if index < len(targets) else name)
        there = session.find(path)
        if there is not None and there.is_directory:
            path = (*path, name)
        session.download(url, path)
    return []


def expand_archive(bound: Bound) -> list[Value]:
    """`Expand-Archive`: into a directory of the archive's name when none is said."""
    session = bound.shell.session
    from wingo.dockerfile.lowering.powershell.places import plain_path

    for written in bound.paths("LiteralPath", "Path"):
        plain = plain_path(session, written)
        path = session.path(plain)
        if is_pattern(plain) and not bound.has("LiteralPath") and not has_hole(plain):
            items, late = session.glob(plain)
            if len(items) != 1 and not late:
                raise CommandFailed(f"the path {written!r} does not name one archive")
            if items:
                path = items[0].path
        elif not path or not has_hole(path[-1]):
            ending = path[-1].rpartition(".")[2].lower() if path and "." in path[-1] else ""
            if ending != "zip":
                raise CommandFailed(f".{ending} is not a supported archive file format; .zip is the only supported one")
        target = bound.text("DestinationPath")
        name = path[-1].rpartition(".")[0] if path else ""
        place = session.path(plain_path(session, target)) if target else (*session.directory, name)
        extract(session, path, place, "zip", overwrite=bound.switch("Force"))
    return []


def compress_archive(bound: Bound) -> list[Value]:
    """`Compress-Archive`."""
    raise CannotLower(f"{bound.cmdlet} makes an archive", "Make it outside the image and COPY it.")


def get_file_hash(bound: Bound) -> list[Value]:
    """`Get-FileHash`."""
    session = bound.shell.session
    algorithm = bound.text("Algorithm", "SHA256").upper()
    if algorithm not in ("SHA1", "SHA256", "SHA384", "SHA512", "MD5"):
        raise CannotLower(f"Get-FileHash -Algorithm {algorithm} is not lowered", "Use SHA256.")
    from wingo.dockerfile.lowering.powershell.places import plain_path

    found: list[Value] = []
    for written in bound.paths("LiteralPath", "Path"):
        item = session.read_item(session.path(plain_path(session, written)))
        value = file_hash(session, item, algorithm)
        found.append(Thing("hash", {"Algorithm": algorithm, "Hash": value, "Path": item.text}, value))
    return found


def import_certificate_cmdlet(bound: Bound) -> list[Value]:
    r"""`Import-Certificate -FilePath x.cer -CertStoreLocation Cert:\LocalMachine\Root`."""
    from wingo.dockerfile.lowering.certificates import import_certificate
    from wingo.dockerfile.lowering.powershell.places import plain_path

    session = bound.shell.session
    found = re.fullmatch(r"cert:[\\/]+(\w+)[\\/]+(\w+)[\\/]?", bound.text("CertStoreLocation"), re.IGNORECASE)
    if found is None:
        raise CannotLower(
            f"the certificate store {bound.text('CertStoreLocation')!r} is not lowered",
            r"Write Cert:\LocalMachine\Root.",
        )
    if found[1].lower() != "localmachine":
        raise CannotLower(
            "a certificate store of an account is made when it logs on", r"Write Cert:\LocalMachine\Root."
        )
    for written in bound.paths("FilePath"):
        import_certificate(session, session.path(plain_path(session, written)), found[2])
    return []


_WEB = (
    "Uri OutFile Method Headers Body InFile UserAgent Credential Certificate UseBasicParsing! UseDefaultCredentials! TimeoutSec "
    "MaximumRedirection DisableKeepAlive! SkipCertificateCheck! Proxy ContentType SessionVariable WebSession PassThru! "
    "MaximumRetryCount RetryIntervalSec SslProtocol Resume!"
)
CMDLETS: tuple[Cmdlet, ...] = (
    cmdlet("Invoke-WebRequest", _WEB, invoke_web_request, positional="Uri"),
    cmdlet("Invoke-RestMethod", _WEB, invoke_web_request, positional="Uri"),
    cmdlet("Start-BitsTransfer", "Source Destination Asynchronous! Description DisplayName Priority TransferType", start_bits_transfer, positional="Source Destination"),
    cmdlet("Expand-Archive", "Path LiteralPath/PSPath DestinationPath/OutputPath Force! PassThru!", expand_archive, positional="Path DestinationPath"),
    cmdlet("Compress-Archive", "Path LiteralPath DestinationPath Update! Force! CompressionLevel", compress_archive, positional="Path DestinationPath"),
    cmdlet("Get-FileHash", "Path LiteralPath/PSPath Algorithm InputStream", get_file_hash, positional="Path"),
    cmdlet("Import-Certificate", "FilePath/FullName CertStoreLocation", import_certificate_cmdlet, positional="FilePath"),
)  # fmt: skip
