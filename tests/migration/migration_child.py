"""Forks a process per line of its input that does a whole run, for a test that kills them.

It has imported everything by then and has no threads, so that a run begins at once.
"""

from __future__ import annotations

import os
import signal
import sys

from migration_harness import SETTLE, run

from opsgenie_provider.operators.migration_import import ImportOperator


def main() -> None:
    ImportOperator.settle_seconds = SETTLE
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            # Its log is not the parent's conversation.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            try:
                run(dry_run=False)
            finally:
                os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _, status = os.waitpid(child, 0)
        was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        sys.stdout.write(f"{was_killed}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
