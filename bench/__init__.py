"""The benchmarks: the same work for wingo and its peers, in turns, as a table of ratios."""
