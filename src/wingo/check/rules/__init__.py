"""The rules, a module for each subject; `wingo.check.catalogue` has them all."""
