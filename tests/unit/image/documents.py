"""Images made by hand, so that every byte of their documents is in the test's hands."""

from __future__ import annotations

import hashlib
import io
import json

from wingo.image.model import Image, Layer
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, sha256_digest
from wingo.oci.media_types import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST

WINDOWS = {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.1"}


def layer(name, media_type=OCI_LAYER_GZIP, **members):
    data = name.encode()
    diff_id = Digest("sha256:" + hashlib.sha256(b"uncompressed " + data).hexdigest())
    return Layer(Descriptor(media_type, sha256_digest(data), len(data), **members), diff_id, lambda: io.BytesIO(data))


def image(*layers, media_type=OCI_MANIFEST, config_type=OCI_CONFIG, annotations=None, **config):
    """An image whose config has exactly these members, and the right diff_ids."""
    members = {"os": "linux", "architecture": "amd64", **config}
    members["rootfs"] = {"type": "layers", "diff_ids": [item.diff_id for item in layers]}
    config_bytes = json.dumps(members, indent=3).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"mediaType": config_type, "digest": sha256_digest(config_bytes), "size": len(config_bytes)},
        "layers": [described(item.descriptor) for item in layers],
    }
    if annotations is not None:
        manifest["annotations"] = annotations
    return Image(json.dumps(manifest, indent=3).encode(), media_type, config_bytes, layers)


def described(descriptor):
    members = {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
    return {**members, "urls": list(descriptor.urls)} if descriptor.urls else members


def config_of(made):
    return json.loads(made.config_bytes)


def manifest_of(made):
    return json.loads(made.manifest_bytes)
