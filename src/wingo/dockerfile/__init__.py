"""Dockerfiles: the language, the graph of stages, the plan, and the lowering of Windows `RUN` steps."""
