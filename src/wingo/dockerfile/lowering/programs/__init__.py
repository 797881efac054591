"""The programs that `RUN` steps call: what each does to the session, by its name."""
