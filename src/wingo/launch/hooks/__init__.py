"""Hooks: a script in JavaScript decides what may run, or adds to it, and can reach nothing else."""
