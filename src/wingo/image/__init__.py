"""Images and indexes as frozen values over their raw bytes."""
