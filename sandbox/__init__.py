"""Local stand-ins for the services that this project reads: for the demo, the tests and the benchmarks.

They need no network and no account. Each answers as the published API does, including its quirks, so that a
client that works with a stand-in works with the service.
"""
