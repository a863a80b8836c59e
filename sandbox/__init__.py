"""Local stand-ins for the services that this project reads: for the demo, the tests and the benchmarks.

They need no network and no account. Each answers the way the published API does, quirks included, so that a
client which works here works there.
"""
