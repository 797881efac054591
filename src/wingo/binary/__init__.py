"""Facts about programs, read from their bytes: PE, ELF and Mach-O, Go build information and the Go function table."""
