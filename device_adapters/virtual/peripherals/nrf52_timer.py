"""TIMER of the nRF52: a counter of 16 MHz with capture and compare registers, and an interrupt.

Offsets and bits: NRF_TIMER_Type and TIMER_* of nrf52833_bitfields.h (nrfx); rules: Product Specification,
chapter TIMER. It counts time only: COUNT, which other peripherals would trigger through PPI, does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import Field

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_START, _STOP, _COUNT, _CLEAR, _SHUTDOWN = 0x000, 0x004, 0x008, 0x00C, 0x010
_CAPTURE, _COMPARE, _CC = 0x040, 0x140, 0x540
_SHORTS, _INTENSET, _INTENCLR, _MODE, _BITMODE, _PRESCALER = 0x200, 0x304, 0x308, 0x504, 0x508, 0x510
_STOPS_SHIFT, _INTEN_SHIFT = 8, 16
_BITS = (16, 8, 24, 32)  # BITMODE


class Parameters(Record):
    """How many capture and compare registers there are: six in TIMER3 and TIMER4, else four."""

    interrupt: int
    registers: int = Field(default=4, ge=1, le=6)


class Timer:
    """One timer. Between two events nothing is computed."""

    def __init__(self, name: str, parameters: Parameters, wiring: Wiring) -> None:
        self._name = name
        self._parameters = parameters
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on: stopped at zero."""
        self._compare = [0] * self._parameters.registers
        self._matched = [False] * self._parameters.registers
        self._registers = dict.fromkeys((_SHORTS, _MODE, _BITMODE), 0) | {_PRESCALER: 4}
        self._interrupts = 0
        self._runs = False
        self._held = 0  # ticks, while it stands still
        self._zero_at = self._seen_until = 0
        self._plan()

    # --- time ---

    def due(self) -> int | None:
        """The next match that interrupts, clears or stops."""
        return self._wanted_at

    def elapse(self) -> None:
        """Let every match happen that is past."""
        if self._next is None or self._wiring.now() < self._next[0]:
            return
        now = self._wiring.now()
        while self._next is not None and self._next[0] <= now:
            self._match(*self._next)
            self._plan()
        self._update_interrupt()

    def _plan(self) -> None:
        """Find the next match, and the next one that does something; to be called when anything changed."""
        wanted = self._interrupts >> _INTEN_SHIFT | self._registers[_SHORTS] | self._shorts_that_stop()
        matches = self._matches()
        self._next = min(matches, default=None)
        self._wanted_at = min((at for at, number in matches if wanted >> number & 1), default=None)

    def _matches(self) -> list[tuple[int, int]]:
        """When the counter next equals each register."""
        if not self._runs:
            return []
        tick, round_ticks = self._instructions_per_tick(), 1 << _BITS[self._registers[_BITMODE]]
        found = []
        for number, value in enumerate(self._compare):
            at = self._zero_at + value % round_ticks * tick
            late = self._seen_until - at
            rounds = late // (round_ticks * tick) + 1 if late >= 0 else 0
            found.append((at + rounds * round_ticks * tick, number))
        return found

    def _match(self, at: int, number: int) -> None:
        self._seen_until = at
        self._matched[number] = True
        if self._registers[_SHORTS] >> number & 1:
            self._zero_at = at
        if self._shorts_that_stop() >> number & 1:
            self._stop(at)

    def _shorts_that_stop(self) -> int:
        return self._registers[_SHORTS] >> _STOPS_SHIFT

    def _instructions_per_tick(self) -> int:
        clocks = self._wiring.clocks
        hz = clocks.frequency(self._name) if clocks is not None else 0.0
        return max(round(clocks.core_hz() / hz) if clocks is not None and hz else 1, 1) << min(
            self._registers[_PRESCALER], 9
        )

    def _count(self, now: int) -> int:
        ticks = (now - self._zero_at) // self._instructions_per_tick() if self._runs else self._held
        return ticks & (1 << _BITS[self._registers[_BITMODE]]) - 1

    # --- tasks ---

    def _start(self, now: int) -> None:
        if not self._runs and not self._registers[_MODE]:
            self._runs = True
            self._zero_at, self._seen_until = now - self._held * self._instructions_per_tick(), now

    def _stop(self, now: int) -> None:
        self._held, self._runs = self._count(now), False

    def _task(self, offset: int) -> None:
        now = self._wiring.now()
        if offset == _START:
            self._start(now)
        elif offset == _STOP:
            self._stop(now)
        elif offset in (_CLEAR, _SHUTDOWN):
            self._held, self._zero_at, self._seen_until = 0, now, now
            self._runs = self._runs and offset == _CLEAR
        elif _CAPTURE <= offset < _CAPTURE + 4 * len(self._compare):
            self._compare[(offset - _CAPTURE) // 4] = self._count(now)
            self._seen_until = now

    # --- the bus ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        self.elapse()
        if offset in (_INTENSET, _INTENCLR):
            return self._interrupts
        if _COMPARE <= offset < _COMPARE + 4 * len(self._compare):
            return int(self._matched[(offset - _COMPARE) // 4])
        if _CC <= offset < _CC + 4 * len(self._compare):
            return self._compare[(offset - _CC) // 4]
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        self.elapse()
        if offset < _COMPARE:
            if value & 1:
                self._task(offset)
        elif _COMPARE <= offset < _COMPARE + 4 * len(self._compare):
            self._matched[(offset - _COMPARE) // 4] = bool(value & 1)
        elif _CC <= offset < _CC + 4 * len(self._compare):
            self._compare[(offset - _CC) // 4] = value
            self._seen_until = self._wiring.now()
        elif offset == _INTENSET:
            self._interrupts |= value
        elif offset == _INTENCLR:
            self._interrupts &= ~value
        else:
            if offset in (_PRESCALER, _BITMODE) and self._runs:
                self._wiring.refuse(f"{self._name} gets another speed or width while it runs")
            self._registers[offset] = self._registers.get(offset, 0) & ~mask | value & 0xFFFF
        self._plan()
        self._update_interrupt()

    def _update_interrupt(self) -> None:
        enabled = self._interrupts >> _INTEN_SHIFT
        raised = any(matched and enabled >> number & 1 for number, matched in enumerate(self._matched))
        self._wiring.interrupt(self._parameters.interrupt, raised)


def _build(name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Timer:
    return Timer(name, Parameters.model_validate(parameters), wiring)


MODELS = MappingProxyType({"nrf52-timer": _build})
