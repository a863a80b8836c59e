"""Runs a stand-in with uvicorn on 127.0.0.1: in a thread for tests, in the foreground for the demo."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send


class _Server(uvicorn.Server):
    """Calls `on_ready` once it accepts connections; in a thread, it installs no signal handlers."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_ready()


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        lifespan="off",
        server_header=False,
        # A response with a fault ("hang", "cut_body") must not delay the end of a test.
        timeout_graceful_shutdown=1,
    )


class Slot:
    """An app that can be replaced while it is served, so that a test session needs a single server."""

    def __init__(self, app: ASGIApp | None = None) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.app is None:
            raise RuntimeError("no stand-in has been put into the slot")
        await self.app(scope, receive, send)


@contextmanager
def serve(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Serve `app` from a thread while the block runs; yields the base URL once it accepts connections."""
    listener = _bind(port)
    ready = threading.Event()
    server = _Server(_config(app), ready.set)

    def run() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="sandbox", daemon=True)
    thread.start()
    ready.wait()
    if not server.started:
        listener.close()
        raise RuntimeError("the sandbox did not start")
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def run_all(apps: Mapping[str, ASGIApp], ports: Mapping[str, int], ports_file: Path | None = None) -> None:
    """Serve each app on its port (0 or not given: any free port) until SIGINT or SIGTERM.

    `{name: base URL}` is written to `ports_file` as JSON, atomically, once all accept connections.
    """
    # Blocked before any thread begins, so that it waits for `sigwait`. A handler would run only once the main
    # thread executes Python, which it no longer does if the signal comes just before it waits.
    ends = (signal.SIGINT, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with ExitStack() as stack:
        urls = {name: stack.enter_context(serve(app, ports.get(name, 0))) for name, app in apps.items()}
        if ports_file is not None:
            partial = ports_file.with_name(f"{ports_file.name}.{os.getpid()}")
            partial.write_text(json.dumps(urls, indent=2) + "\n")
            partial.replace(ports_file)
        for name, url in urls.items():
            print(f"sandbox: {name} {url}", flush=True)
        signal.sigwait(ends)
