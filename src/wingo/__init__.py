"""wingo: container images for Go programs, Windows first, from any machine."""

from wingo.version import VERSION as __version__

__all__ = ["__version__"]
