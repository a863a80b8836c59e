"""Payload to row: pure functions that say what each field of the API means in staging."""
