"""`python -m bench.running_once LAYOUT TARGET`: unpacks an image's layers as `wingo run` does, several at a time."""

from __future__ import annotations

import os
import sys

from wingo.image.model import images_of
from wingo.launch.identity import choose_identity
from wingo.launch.layer_store import LayerStore
from wingo.stores.layout import Layout
from wingo.stores.parallel import each

if __name__ == "__main__":
    layout, target = sys.argv[1:]
    identity = choose_identity(os.geteuid(), os.getegid(), "", "", "", has_helpers=False)
    store = LayerStore(target, identity, {})
    (image,) = images_of(Layout(layout, "latest").read())
    each(os.cpu_count() or 1, store.unpack, image.layers)
