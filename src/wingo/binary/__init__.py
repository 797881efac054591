"""Facts about programs, read from their bytes: PE, ELF and Mach-O, Go build information and the Go function table.

`wingo.binary.read` is where to begin.
"""
