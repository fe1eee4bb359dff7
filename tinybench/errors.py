"""Everything that can go wrong, with its exit code and, where there is one, the next thing to type.

A message is one sentence with the offending value in backticks. Context is added on the way up with
`add_note`. Third-party exceptions stop at the adapter that called.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

EXIT_OK = 0
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


class TinyBenchError(Exception):
    """Root of what tinybench raises on purpose; anything else that escapes is a bug (exit code 70)."""

    exit_code: ClassVar[int] = EXIT_BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RegressionFound(TinyBenchError):
    """The comparison was possible and the answer is no."""

    exit_code = 1


class UsageError(TinyBenchError):
    """A wrong name, option, plan or configuration."""

    exit_code = 2


class MeasurementError(TinyBenchError):
    """A number that is not to be believed, and therefore is not recorded."""

    exit_code = 3


class WrongAnswer(MeasurementError):
    """The golden output was not reproduced: no latency is measured."""


class ClockSuspect(MeasurementError):
    """The device's clock stands still or disagrees with the host's."""


class LostSamples(MeasurementError):
    """The power monitor lost more samples than the limit allows."""


class DeviceError(TinyBenchError):
    """The bench broke; this says nothing about the model. It is worth another try, unless it cannot pass."""

    exit_code = 4
    may_pass: ClassVar[bool] = True


class DeviceNotFound(DeviceError):
    """No such board, probe or port is reachable."""

    may_pass = False


class WrongBoard(DeviceError):
    """The board that answers is not the one that was flashed."""

    may_pass = False


class LoadError(DeviceError):
    """The image, or an input, could not be put on the device or did not read back as written."""


class LinkTimeout(DeviceError):
    """Nothing arrived within the time that was given."""


class LinkClosed(DeviceError):
    """The byte pipe is gone."""


class ProtocolError(DeviceError):
    """The device answered something that the protocol does not allow."""


class ClockUnproven(DeviceError):
    """This computer was too busy to judge the device's clock: neither right nor wrong, so not recorded."""


class FirmwareFault(DeviceError):
    """The firmware took a fault or locked up."""


class AccuracyTooLow(TinyBenchError):
    """The model is right to the bit and still not good enough for its quality rule."""

    exit_code = 5


class BuildError(TinyBenchError):
    """The image could not be generated, compiled or linked."""

    exit_code = 6


class ModelError(BuildError):
    """The model file is damaged, or is not something this engine can run."""


class DoesNotFit(BuildError):
    """The image is larger than a memory region: names region, needed, available, the largest symbols."""


class SetupError(TinyBenchError):
    """A compiler, probe, permission, pack or data file is missing; the hint is the remedy."""

    exit_code = 7


class WrongDigest(SetupError):
    """A file has the right name and other bytes than its pinned digest promises: names both digests."""


class DeadlineExceeded(TinyBenchError):
    """A stage took longer than it was given."""

    exit_code = 124


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint naming the closest known words, or all of them if none is close; None where there are none."""
    words = sorted(set(known))
    close = difflib.get_close_matches(word, words, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(f'`{w}`' for w in close)}?"
    return f"known: {', '.join(words)}" if words else None
