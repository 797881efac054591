"""The command line: one file per command; what to do is decided in `wingo.pipeline`."""
