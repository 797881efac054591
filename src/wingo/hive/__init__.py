"""Windows registry hives (regf): read lazily, edited as values, merged, compared, written, checked; bytes in, bytes out."""
