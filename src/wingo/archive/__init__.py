"""Deterministic tar and compression: a recipe has no digest and costs nothing, `pack` makes it a layer."""
