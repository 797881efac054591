"""A corpus of images: for each rule one that must fail and one that must pass. `python -m tests.checks DIR` writes it."""
