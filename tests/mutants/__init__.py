"""Mutants: the code with one small change each, to see which changes no test notices. `python -m tests.mutants --help`."""
