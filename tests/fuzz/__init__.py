"""Fuzz tests: every reader of input from outside either takes an input or refuses it with an error that it states.

`make fuzz` tries a million inputs, and CI some hundreds of each kind (tests/unit/test_fuzz.py).
"""
