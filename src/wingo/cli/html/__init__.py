"""Pages of one file: no network, no script, light and dark; made of small functions that give a piece of it each."""
