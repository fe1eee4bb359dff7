"""Advisory locks on open files: several processes may append to one file, one at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

if sys.platform == "win32":
    import msvcrt
    import os

    # Windows locks are mandatory: a byte far behind any end of file is locked, so that readers stay free.
    _LOCKED_OFFSET = 1 << 62

    @contextmanager
    def exclusive(descriptor: int) -> Iterator[None]:
        """Hold the file's lock; waits for whoever has it. The lock dies with the process that holds it."""
        os.lseek(descriptor, _LOCKED_OFFSET, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        try:
            yield
        finally:
            os.lseek(descriptor, _LOCKED_OFFSET, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

    shared = exclusive

else:
    import fcntl

    @contextmanager
    def exclusive(descriptor: int) -> Iterator[None]:
        """Hold the file's lock; waits for whoever has it. The lock dies with the process that holds it."""
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    @contextmanager
    def shared(descriptor: int) -> Iterator[None]:
        """Wait until nobody holds the file exclusively, and keep it so."""
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
