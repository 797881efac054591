"""What the verifier can find: each code with the fact it comes from."""

from __future__ import annotations

from typing import NamedTuple

# The numbers are sections of the notes on Windows layers that the project was started with ("facts"):
# 1.2 names and order, 1.3 paths, 1.4 PAX records, 1.5 security descriptors, 1.6 links, 1.7 whiteouts,
# 1.8 config, 1.9 media types, 1.10 index.
CODES: dict[str, str] = {
    # the layout and its blobs
    "layout-broken": "image-spec image-layout.md: oci-layout, index.json, JSON of the right shape",
    "blob-missing": "image-spec image-layout.md: every blob that is named is there",
    "blob-digest": "image-spec descriptor.md: the digest is of the bytes",
    "blob-size": "image-spec descriptor.md: the size is of the bytes",
    "media-type-disagrees": "image-spec manifest.md: mediaType in the body is the descriptor's",
    "mixed-family": "1.9: one family, OCI or Docker, per manifest and under one index",
    "foreign-layer": "1.9: no new non-distributable layer",
    # the layer as a stream
    "layer-corrupt": "RFC 1952 and POSIX tar: the stream can be read to its end",
    "layer-trailing-bytes": "RFC 1952: nothing follows the last member",
    "gzip-not-neutral": "reproducible: no time and no name in a gzip header",
    "diff-id": "image-spec config.md: diff_ids are the digests of the uncompressed layers",
    # names and order
    "files-missing": "1.2: a Files directory entry",
    "hives-missing": "1.2: a Hives directory entry, empty or not",
    "top-level-name": "1.2: nothing but Files and Hives at the top",
    "utility-vm": "1.2: no UtilityVM in a child layer",
    "hive-name": "1.2: a child layer's hives are the five *_DELTA files",
    "duplicate-entry": "1.2: FILE_CREATE fails with 0xb7",
    "case-collision": "1.2: names that differ in case only are duplicates",
    "parent-missing": "1.2: a directory has its own entry, else 0x3",
    "parent-after-child": "1.2: ... before its children",
    "parent-not-directory": "1.3: OBJ_DONT_REPARSE, nothing is written through a link or a file",
    "reserved-name": "1.2: CON, PRN, AUX, NUL, COM1-9, LPT1-9",
    "trailing-dot-or-space": "1.2: Win32 callers cannot open it",
    "not-relative": "1.3: no leading slash, ./ or ..",
    "backslash-in-name": "1.3: forward slashes only",
    "colon-in-name": "1.3: no colon, no alternate data stream",
    "invalid-character": 'Win32 naming: control characters and <>"|?*',
    "name-too-long": "1.3 and NTFS: 255 UTF-16 units a component, 32767 a path",
    "entry-type": "1.2: files, directories, symbolic links and hard links only",
    # PAX records
    "not-pax": "1.4: the header format is PAX",
    "fileattr": "1.4: MSWINDOWS.fileattr is there, decimal, and its directory bit agrees with the type flag",
    "times-missing": "1.4: atime, ctime, mtime and LIBARCHIVE.creationtime",
    "times-unequal": "1.4: all four equal, in every entry of the layer",
    "times-format": "1.4: sec or sec.nnnnnnnnn without trailing zeros",
    # security descriptors
    "sd-missing": "1.5: every entry under Files has MSWINDOWS.rawsd",
    "sd-broken": "1.5: a self-relative SECURITY_DESCRIPTOR",
    "sd-no-owner": "1.5: an owner",
    "sd-no-group": "1.5: a group",
    "sd-no-dacl": "1.5 A: without a DACL everybody may write",
    "writable-by-users": "1.5: programs and their directories are not writable by ordinary users",
    "not-executable-by-users": "1.5: Users read and execute the program (ko#361: else 0x5)",
    "data-dir-missing": "issue 2: --data-dir is in the layer",
    "data-dir-not-writable": "1.5 D: the service user may write a data directory and what is below",
    # links
    "symlink-target": "1.6: a Windows target text, not a path in the tar",
    "symlink-attributes": "1.6: 0x400, and 0x10 when the target is a directory",
    "junction": "1.6: MSWINDOWS.mountpoint=1 on a directory symlink with an absolute target",
    "hardlink-target": "1.6: begins with Files/ and is there",
    # whiteouts
    "opaque-whiteout": "1.7: has no effect on Windows",
    "whiteout-outside-files": "1.7: invalid tombstone",
    "whiteout-of-added": "1.7: deletes the file which the same layer adds",
    # config
    "config-platform": "1.8: os and architecture",
    "config-os-version": "1.8: os.version of four parts",
    "config-os-features": "1.8: os.features are the base's",
    "config-shape": "image-spec config.md: types of the fields",
    "entrypoint-missing": "1.8: an exec-form Entrypoint",
    "entrypoint-not-absolute": "1.8: a full path with a drive and backslashes",
    "entrypoint-no-exe": "1.8: CreateProcess appends no .exe to a path",
    "entrypoint-not-in-layers": "1.8: the file is there",
    "entrypoint-machine": "the program is a PE (an ELF) of the image's architecture",
    "args-escaped": "1.8: false when Entrypoint is in exec form",
    "base-cmd-kept": "1.8: the base's Cmd would become arguments",
    "linux-path": "1.8: a Linux PATH replaces the registry's",
    "path-loses-system32": "1.8: PATH in the config replaces the registry's",
    "env-duplicate": "1.8: names of the environment are case-insensitive",
    "workdir-slash": "1.8: HCS does not like forward slashes",
    "history-count": "1.8: non-empty history entries == layers",
    "diff-id-count": "1.8: diff_ids == layers",
    # index
    "index-platform": "1.10: every child has platform os and architecture, equal to its config's",
    "index-os-version": "1.10: ... and os.version",
    "index-os-features": "1.10: ... and os.features",
    "index-order": "1.10: newest os.version first",
    "index-duplicate-platform": "6.5: no two children equal in (os, arch, variant, os.version)",
    "layer-not-shared": "issue 2: one application layer blob for all os.versions",
}


class Finding(NamedTuple):
    """One broken rule: its code, where (blob and entry), and what was seen."""

    code: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.code}: {self.where}: {self.text}"
