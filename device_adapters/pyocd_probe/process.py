"""The parent's end of a probe: one child process, one question at a time, a deadline for each.

A child that misses its deadline is killed, and its probe is free again: the operating system closes what it
held. Questions and answers are lines of JSON; what pyOCD prints goes to the child's stderr and is kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO, Any, Self

from tinybench import errors
from tinybench.errors import DeviceError

_LAST_WORDS_BYTES = 4000
_GOODBYE_S = 5.0
_LARGEST_ANSWER_BYTES = 16 * 1024 * 1024


class ProbeProcess:
    """A child that holds at most one probe. Use as a context manager: leaving frees the probe, always."""

    def __init__(self) -> None:
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "device_adapters.pyocd_probe.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,  # Ctrl-C is for the parent, which frees the board in order
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._to, self._from = self._child.stdin, self._child.stdout
        os.set_blocking(self._from.fileno(), False)
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, verb: str, within_s: float, **words: Any) -> dict[str, Any]:
        """The child's answer; the child's error as ours.

        Raises the class of tinybench.errors that the child named, or DeviceError if it died or was too slow.
        """
        try:
            self._to.write(json.dumps({"do": verb, **words}).encode() + b"\n")
            self._to.flush()
        except OSError as error:
            raise self._died(verb) from error
        answer: dict[str, Any] = json.loads(self._line(verb, time.monotonic() + within_s, within_s))
        if "error" in answer:
            raise _as_ours(answer)
        return answer

    def close(self) -> None:
        """Let the child say goodbye to its probe; kill it if it does not."""
        with contextlib.suppress(OSError):
            self._to.close()
        try:
            self._child.wait(_GOODBYE_S)
        except subprocess.TimeoutExpired:
            self._kill()
        self._from.close()
        self._stderr.close()

    def _line(self, verb: str, deadline: float, within_s: float) -> bytes:
        with selectors.DefaultSelector() as selector:
            selector.register(self._from, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    self._kill()
                    raise DeviceError(
                        f"the debug probe did not finish `{verb}` within {within_s:g} s",
                        hint="unplug it and plug it in again; then `tinybench devices`",
                    )
                piece = self._from.read(1 << 16)
                if not piece or len(self._unread) > _LARGEST_ANSWER_BYTES:
                    raise self._died(verb)
                self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _died(self, verb: str) -> DeviceError:
        self._kill()
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - _LAST_WORDS_BYTES))
        last = self._stderr.read().decode(errors="replace").strip().splitlines()
        error = DeviceError(
            f"pyOCD's process ended during `{verb}`" + (f": {last[-1]}" if last else ""),
            hint="unplug the probe and plug it in again; then `tinybench devices`",
        )
        for line in last[-10:]:
            error.add_note(line)
        return error

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()


def _as_ours(answer: dict[str, Any]) -> errors.TinyBenchError:
    kind = getattr(errors, str(answer["error"]), DeviceError)
    error: errors.TinyBenchError = kind(answer["message"], hint=answer.get("hint"))
    for note in answer.get("notes", ()):
        error.add_note(note)
    return error
