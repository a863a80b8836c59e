"""Payload to row: pure functions that define what each field of the APIs means in staging."""
