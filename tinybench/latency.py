"""Latency on a real clock: windows that are long enough, and a clock that the host has checked.

The device's clock times each window; the host's, which is coarse but not in the same hands, must agree. How
late the host hears of anything is unknown, so it never takes part in a latency: it only bounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tinybench.errors import ClockSuspect, ClockUnproven
from tinybench.session import Session
from tinybench.wire import Stamp, Window, elapsed_s


@dataclass(frozen=True)
class Rules:
    """How latency is measured: `windows` of at least `window_s` of device time, after `warmup` inferences.

    Across every window, the device's clock must be proven to run within `clock_tolerance` of the host's.
    """

    name: str
    window_s: float
    windows: int
    warmup: int
    clock_tolerance: float = 0.01
    inputs: int = 3

    @property
    def protocol(self) -> str:
        """What must be equal for two latencies to be compared."""
        return f"{self.name}: {self.windows} windows of {self.window_s:g} s after {self.warmup} inferences"


QUICK = Rules(name="quick", window_s=0.5, windows=7, warmup=2)
MLPERF = Rules(name="mlperf", window_s=10.0, windows=5, warmup=10, inputs=5)
RULES: Mapping[str, Rules] = MappingProxyType({rules.name: rules for rules in (QUICK, MLPERF)})

_HEADROOM = 1.05
_SHORTEST_PROBE_S = 0.01
_LARGEST_PROBE = 10_000
_WINDOW_ATTEMPTS = 6
_LARGEST_GROWTH = 8.0
_LONGEST_WINDOW_S = 120.0
_STAMPS_BEFORE, _STAMPS_AFTER = 6, 12
_NEAR_BEST = 1.5
_RESOLUTION_S = 1e-9
_SHARP = 4.0


def timed(
    session: Session, inputs: Sequence[bytes], rules: Rules, *, verify: bool = False
) -> tuple[float, ...]:
    """Mean latency of each window, in seconds of the device's clock, over `inputs` in turn.

    `verify` reads every input back after it was loaded.

    Raises ClockSuspect if device and host disagree on any window, and ClockUnproven if this computer was too
    busy to tell, however long the window.
    """
    session.load(inputs[0], verify=verify)
    session.infer(max(1, rules.warmup), 0)
    n = _calibrated(session, rules)
    watch = _HostWatch(session, rules)
    latencies_s: list[float] = []
    for index in range(rules.windows):
        session.load(inputs[index % len(inputs)], verify=verify)
        session.infer(max(1, rules.warmup), 0)
        window = _window(session, n, rules, watch)
        n = max(n, window.inferences)
        latencies_s.append(window.device_s / window.inferences)
    return tuple(latencies_s)


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


def _window(session: Session, n: int, rules: Rules, watch: _HostWatch) -> Window:
    """One window of at least `rules.window_s`, whose clock is proven; what is not is made longer."""
    for _ in range(_WINDOW_ATTEMPTS):
        before = watch.stamps()
        window = session.infer(n, 0)
        rate = watch.rate(before, window.stamp)
        if is_proven(rate, rules.clock_tolerance) and window.device_s >= rules.window_s:
            return window
        n = _longer(window, rate, rules)
        if n * window.device_s > window.inferences * max(_LONGEST_WINDOW_S, rules.window_s * _HEADROOM):
            break
    if window.device_s < rules.window_s:
        raise ClockSuspect(
            f"`{n}` inferences do not fill a window of `{rules.window_s:g}` s: {window.device_s:g} s"
        )
    raise ClockUnproven(
        f"this computer heard the board too late to judge its clock in `{window.device_s:.3g}` s: "
        f"it may run at anything from {rate} times this computer's",
        hint="end other programs that keep this computer busy, then run it again",
    )


def _longer(window: Window, rate: Rate, rules: Rules) -> int:
    """Inferences for the next attempt: enough to fill a window and to bring the bounds within tolerance."""
    to_fill = _HEADROOM * rules.window_s / max(window.device_s, rules.window_s / 1000)
    to_tell = 1.0
    if window.device_s >= rules.window_s:
        to_tell = min(max(2.0, (rate.highest - rate.lowest) / rules.clock_tolerance), _LARGEST_GROWTH)
    return math.ceil(window.inferences * max(to_fill, to_tell))


# --- two clocks ---


@dataclass(frozen=True)
class Rate:
    """Bounds of how many seconds the device's clock counts in one of the host's."""

    lowest: float
    highest: float

    def __str__(self) -> str:
        """For messages."""
        return f"{self.lowest:.4f} to {self.highest:.4f}"


def clock_rate(before: Stamp, window: Stamp, after: Stamp) -> Rate:
    """What three stamps prove about the device's clock across `window`, without any assumption on delays.

    A stamp's readings d1, d2 of the device's clock were taken at true times within [sent, heard]. Hence

        (d2(after) - d1(before)) / (heard(after) - sent(before)) <= rate      too much host time: a low bound
        rate <= (d1(after) - d2(before)) / (sent(after) - heard(before))      too little: a high bound

    and the window's own stamp gives another low bound. A host that is busy widens the bounds, and can do
    nothing else. The method is that of clock synchronisation by messages both ways (RFC 5905, section 8).
    """
    span_s = elapsed_s(before.first_us, after.last_us)
    inner_s = elapsed_s(before.last_us, after.first_us)
    return Rate(
        lowest=max(
            span_s / max(after.heard_s - before.sent_s, _RESOLUTION_S),
            window.device_s / max(window.heard_s - window.sent_s, _RESOLUTION_S),
        ),
        highest=inner_s / max(after.sent_s - before.heard_s, _RESOLUTION_S),
    )


def is_proven(rate: Rate, tolerance: float) -> bool:
    """Whether the clock certainly runs within `tolerance`; False if these stamps do not tell.

    Raises ClockSuspect if it certainly does not, or runs so close to the limit that nobody could tell.
    """
    within = (1 - tolerance, 1 + tolerance)
    if within[0] <= rate.lowest and rate.highest <= within[1]:
        return True
    if rate.lowest > within[1] or rate.highest < within[0] or rate.highest - rate.lowest < tolerance / _SHARP:
        raise ClockSuspect(
            f"the device's clock runs at {rate} times the host's: more than {tolerance:.0%} apart",
            hint="check the clock source and what the firmware divides its counter by",
        )
    return False


class _HostWatch:
    """Reads both clocks close together, as often as it takes: a computer that is busy is not busy always."""

    def __init__(self, session: Session, rules: Rules) -> None:
        self._session = session
        self._tolerance = rules.clock_tolerance
        self._enough_s = rules.clock_tolerance * rules.window_s / _SHARP
        self._best_s = 0.0

    def stamps(self) -> Sequence[Stamp]:
        """A few stamps; the last is about as close as any before, if they are not too many."""
        tries: list[Stamp] = []
        while len(tries) < _STAMPS_BEFORE:
            tries.append(self._session.stamp())
            if tries[-1].doubt_s <= max(self._enough_s, _NEAR_BEST * self._best_s):
                break
        closest_s = min(stamp.doubt_s for stamp in tries)
        self._best_s = min(self._best_s or closest_s, closest_s)
        return tries

    def rate(self, before: Sequence[Stamp], window: Stamp) -> Rate:
        """What stamps on both sides of a window prove, one bound from this pair and one from that.

        Stamps are taken until the rate is proven. Raises ClockSuspect.
        """
        rate = Rate(0.0, math.inf)
        for _ in range(_STAMPS_AFTER):
            after = self._session.stamp()
            rates = [rate, *(clock_rate(early, window, after) for early in before)]
            rate = Rate(max(r.lowest for r in rates), min(r.highest for r in rates))
            if is_proven(rate, self._tolerance):
                break
        return rate
