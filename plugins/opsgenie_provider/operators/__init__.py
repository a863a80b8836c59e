"""Operators, one verb each."""
