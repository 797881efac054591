"""The language of PowerShell 5.1, as far as `RUN` steps use it."""
