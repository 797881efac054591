"""Registries: our own client of the distribution API 1.1 and Docker's schema 2.

`Transport` sends requests, `RegistryClient` reads and writes images with it, `RegistryStore` is one reference as a place.
"""

from wingo.stores.registry.client import RegistryClient, RegistryStore, Shipment
from wingo.stores.registry.transport import Patience, TlsOptions, Transport

__all__ = ["Patience", "RegistryClient", "RegistryStore", "Shipment", "TlsOptions", "Transport"]
