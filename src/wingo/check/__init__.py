"""Rules over images: one rule is one function with its own documentation; findings say what is wrong, where, and how to mend it."""
