"""Latency on a real clock: windows that are long enough, and a clock that the host has checked.

The device's clock times each window; the host's, which is coarse but not in the same hands, must agree.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tinybench.errors import ClockSuspect
from tinybench.session import Session
from tinybench.wire import Window


@dataclass(frozen=True)
class Rules:
    """How latency is measured: `windows` of at least `window_s` of device time, after `warmup` inferences.

    Device and host may disagree by `clock_tolerance` of a window, beyond the host's own jitter.
    """

    name: str
    window_s: float
    windows: int
    warmup: int
    clock_tolerance: float = 0.01

    @property
    def protocol(self) -> str:
        """What must be equal for two latencies to be compared."""
        return f"{self.name}: {self.windows} windows of {self.window_s:g} s after {self.warmup} inferences"


QUICK = Rules(name="quick", window_s=0.5, windows=7, warmup=2)
MLPERF = Rules(name="mlperf", window_s=10.0, windows=5, warmup=10)

_HEADROOM = 1.05
_SHORTEST_PROBE_S = 0.01
_LARGEST_PROBE = 10_000
_JITTER_PROBES = 3
_WINDOW_ATTEMPTS = 3


@dataclass(frozen=True)
class Bracket:
    """What one inference takes by device and by host (less the line's time), and the host's jitter."""

    device_s: float
    host_s: float
    jitter_s: float


def timed(
    session: Session, inputs: Sequence[bytes], rules: Rules, *, verify: bool = False
) -> tuple[float, ...]:
    """Mean latency of each window, in seconds of the device's clock, over `inputs` in turn.

    `verify` reads every input back after it was loaded.

    Raises ClockSuspect if device and host disagree on any window.
    """
    session.load(inputs[0], verify=verify)
    session.infer(max(1, rules.warmup), 0)
    bracket = _bracket(session)
    n = _calibrated(session, rules)
    latencies_s: list[float] = []
    for index in range(rules.windows):
        session.load(inputs[index % len(inputs)], verify=verify)
        session.infer(max(1, rules.warmup), 0)
        window = _window(session, n, rules, bracket)
        latencies_s.append(window.device_s / window.inferences)
    return tuple(latencies_s)


def _bracket(session: Session) -> Bracket:
    shortest = [session.infer(1, 0) for _ in range(_JITTER_PROBES)]
    for window in shortest:
        if window.device_s > window.host_s:
            raise ClockSuspect(
                f"one inference took `{window.device_s:.6g}` s by the device's clock, and the host waited "
                f"`{window.host_s:.6g}` s for its whole answer"
            )
    overheads_s = [window.host_s - window.device_s for window in shortest]
    return Bracket(
        device_s=statistics.median(window.device_s for window in shortest),
        host_s=statistics.median(window.host_s - window.line_s for window in shortest),
        jitter_s=max(overheads_s) - min(overheads_s),
    )


def _calibrated(session: Session, rules: Rules) -> int:
    """Inferences that fill a window: 1.05 * window / latency, from one inference and, if it is short, more.

    latency = (device time of n - device time of 1) / (n - 1), so that what is constant falls out. Never
    less than two, so that a window can be told from the shortest one.
    """
    one = many = session.infer(1, 0)
    latency_s = one.device_s
    while many.device_s < _SHORTEST_PROBE_S and many.inferences < _LARGEST_PROBE:
        many = session.infer(10 * many.inferences, 0)
        latency_s = (many.device_s - one.device_s) / (many.inferences - 1)
    if latency_s <= 0:
        raise ClockSuspect(
            f"`{many.inferences}` inferences took `{many.device_s:g}` s and one took `{one.device_s:g}` s"
        )
    return max(2, math.ceil(_HEADROOM * rules.window_s / latency_s))


def _window(session: Session, n: int, rules: Rules, bracket: Bracket) -> Window:
    """One window of at least `rules.window_s`; one that is too short is no window and is made longer."""
    for _ in range(_WINDOW_ATTEMPTS):
        window = session.infer(n, 0)
        check_clocks(window, bracket, rules)
        if window.device_s >= rules.window_s:
            return window
        n = math.ceil(_HEADROOM * n * rules.window_s / max(window.device_s, rules.window_s / 1000))
    raise ClockSuspect(
        f"`{n}` inferences do not fill a window of `{rules.window_s:g}` s: {window.device_s:g} s"
    )


def check_clocks(window: Window, bracket: Bracket, rules: Rules) -> None:
    """ClockSuspect if the device's clock and the host's run apart.

    The host sees a window of n inferences as overhead + true time, the device as D(n). H(n) is the host's
    time less what the characters take on the line, as longer numbers take longer. Against the shortest
    window, of one inference, the rest of the overhead falls out:

        ratio = (D(n) - D(1)) / (H(n) - H(1)),   allowed: |ratio - 1| <= tolerance + jitter / (H(n) - H(1))

    where the jitter is the spread of H(1) - D(1): what the host's own timing cannot tell apart.
    """
    host_s = window.host_s - window.line_s - bracket.host_s
    device_s = window.device_s - bracket.device_s
    if host_s <= 0 or abs(device_s - host_s) > rules.clock_tolerance * host_s + bracket.jitter_s:
        raise ClockSuspect(
            f"a window of {window.inferences} inferences took `{device_s:.6g}` s by the device's clock and "
            f"`{host_s:.6g}` s by the host's",
            hint="check the clock source and what the firmware divides its counter by",
        )
