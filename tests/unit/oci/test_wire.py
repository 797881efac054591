"""Decoders: made by one thread at a time."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import msgspec

from wingo.oci import wire


def test_one_thread_at_a_time_makes_a_decoder(monkeypatch):
    inside, most = 0, 0
    lock = threading.Lock()

    def slow_decoder(kind):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.01)
        with lock:
            inside -= 1
        return kind

    monkeypatch.setattr(wire, "_decoders", {})
    monkeypatch.setattr(wire, "msgspec", SimpleNamespace(json=SimpleNamespace(Decoder=slow_decoder)))
    threads = [threading.Thread(target=wire.decoder, args=(kind,)) for kind in (int, str, bool, float)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_decoder_is_made_once():
    assert wire.decoder(dict[str, int]) is wire.decoder(dict[str, int])
    assert isinstance(wire.decoder(dict[str, int]), msgspec.json.Decoder)
    assert wire.decoder(dict[str, int]).decode(b'{"a":1}') == {"a": 1}
