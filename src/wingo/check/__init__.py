"""Rules: one rule, one function, one page of the documentation; findings with a hint."""
