"""The language of cmd.exe, as far as `RUN` steps use it: lines to commands, and what they do."""
