"""RP2040: crystal, system PLL, clock switches, subsystem resets and the microsecond timer.

Offsets, bits and reset values: RP2040.svd; rules and limits: RP2040 data sheet, chapters 2.14 (resets), 2.15
(clocks), 2.16 (XOSC), 2.18 (PLL), 4.6 (timer), 4.7.2 (ticks). The aliases that set, clear and flip bits are
not modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_ROSC_HZ = 6.5e6  # typical (data sheet 2.17)
_CORE_LIMIT_HZ = 133e6
_ENABLE_WORD, _RANGE_WORD, _XOSC_ENABLED, _XOSC_STABLE = 0xFAB, 0xAA0, 1 << 12, 1 << 31
_LOCK = 1 << 31
_PD, _POSTDIVPD, _VCOPD = 1 << 0, 1 << 3, 1 << 5
_VCO_HZ, _LEAST_REFERENCE_HZ = (750e6, 1600e6), 5e6
_REF_CTRL, _REF_DIV, _REF_SELECTED = 0x30, 0x34, 0x38
_SYS_CTRL, _SYS_DIV, _SYS_SELECTED, _PERI_CTRL = 0x3C, 0x40, 0x44, 0x48
_PERI_ENABLE = 1 << 11
_TICK, _TICK_ENABLE, _TIMERAWH, _TIMERAWL = 0x2C, 1 << 9, 0x24, 0x28
_WORD = 0xFFFFFFFF


class CrystalParameters(Record):
    """The board's crystal; none: 0."""

    crystal_hz: int = 12_000_000


class Crystal:
    """XOSC."""

    def __init__(self, parameters: CrystalParameters, wiring: Wiring) -> None:
        self._parameters = parameters
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on: off."""
        self._registers: dict[int, int] = {}
        self._stable_at: int | None = None

    def hz(self) -> float:
        """Its frequency, 0 until it is stable."""
        stable = self._stable_at is not None and self._wiring.now() >= self._stable_at
        return float(self._parameters.crystal_hz) if stable else 0.0

    def read(self, offset: int) -> int:
        """One aligned word."""
        if offset == 0x04:  # noqa: PLR2004 - STATUS
            enabled = _XOSC_ENABLED if self._stable_at is not None else 0
            return enabled | (_XOSC_STABLE if self.hz() else 0)
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        self._registers[offset] = new = self._registers.get(offset, 0) & ~mask | value
        if offset:
            return
        if new & 0xFFF != _RANGE_WORD:
            self._wiring.refuse(f"XOSC's range is `{new & 0xFFF:#x}`; it takes 0xaa0, for 1 to 15 MHz")
        if new >> 12 != _ENABLE_WORD:
            self._stable_at = None
        elif self._stable_at is None:
            delay = self._registers.get(0x0C, 0) & 0x3FFF
            self._stable_at = self._wiring.now() + delay * 128  # 256 periods each, at half an instruction


class Pll:
    """PLL_SYS."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on, or when the reset controller holds it."""
        self._registers = {0x00: 1, 0x04: 0x2D, 0x08: 0, 0x0C: 0x00077000}
        self._locked_at: int | None = None

    def _vco_hz(self) -> float:
        crystal = cast("Crystal", self._wiring.parts["xosc"]).hz()
        return crystal / max(self._registers[0x00] & 0x3F, 1) * (self._registers[0x08] & 0xFFF)

    def hz(self) -> float:
        """Its output, 0 until it is locked and let out."""
        if not self._is_locked() or self._registers[0x04] & _POSTDIVPD:
            return 0.0
        dividers = self._registers[0x0C]
        return self._vco_hz() / max((dividers >> 16 & 7) * (dividers >> 12 & 7), 1)

    def _is_locked(self) -> bool:
        return self._locked_at is not None and self._wiring.now() >= self._locked_at

    def read(self, offset: int) -> int:
        """One aligned word."""
        value = self._registers.get(offset, 0)
        return value | _LOCK if offset == 0 and self._is_locked() else value

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        self._registers[offset] = self._registers.get(offset, 0) & ~mask | value
        if self._registers[0x04] & (_PD | _VCOPD):
            self._locked_at = None
        elif self._locked_at is None:
            self._check()
            self._locked_at = self._wiring.now() + 200
        if self._wiring.clocks is not None:
            self._wiring.clocks.check()

    def _check(self) -> None:
        reference = cast("Crystal", self._wiring.parts["xosc"]).hz() / max(self._registers[0x00] & 0x3F, 1)
        if reference < _LEAST_REFERENCE_HZ:
            self._wiring.refuse(f"the PLL's reference is `{reference / 1e6:g} MHz`; it takes 5 MHz and more")
        elif not _VCO_HZ[0] <= self._vco_hz() <= _VCO_HZ[1]:
            self._wiring.refuse(
                f"the PLL's VCO runs at `{self._vco_hz() / 1e6:g} MHz`; it takes 750 to 1600 MHz"
            )


class Clocks:
    """CLOCKS: clk_ref, clk_sys and clk_peri."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on: the ring oscillator."""
        self._registers = {_REF_DIV: 0x100, _SYS_DIV: 0x100}

    # --- what others ask ---

    def _crystal_hz(self) -> float:
        return cast("Crystal", self._wiring.parts["xosc"]).hz()

    def reference_hz(self) -> float:
        """clk_ref."""
        source = (_ROSC_HZ, 0.0, self._crystal_hz(), 0.0)[self._registers.get(_REF_CTRL, 0) & 0b11]
        return source / (self._registers[_REF_DIV] >> 8 & 0b11 or 4)

    def core_hz(self) -> float:
        """clk_sys."""
        control = self._registers.get(_SYS_CTRL, 0)
        source = self._auxiliary_hz(control) if control & 1 else self.reference_hz()
        divider = self._registers[_SYS_DIV] >> 8 or 1 << 16
        return source / (divider + (self._registers[_SYS_DIV] & 0xFF) / 256)

    def _auxiliary_hz(self, control: int) -> float:
        pll = cast("Pll", self._wiring.parts["pll_sys"]).hz()
        return {0: pll, 2: _ROSC_HZ, 3: self._crystal_hz()}.get(control >> 5 & 0b111, 0.0)

    def frequency(self, peripheral: str) -> float:
        """clk_peri, which clocks the UARTs; for any other name, clk_sys."""
        if not peripheral.startswith("uart"):
            return self.core_hz()
        control = self._registers.get(_PERI_CTRL, 0)
        if not control & _PERI_ENABLE:
            return 0.0
        pll = cast("Pll", self._wiring.parts["pll_sys"]).hz()
        sources = {0: self.core_hz(), 1: pll, 3: _ROSC_HZ, 4: self._crystal_hz()}
        return sources.get(control >> 5 & 0b111, 0.0)

    def is_clocked(self, register: str, bit: int) -> bool:
        """Whether a subsystem is out of reset: that is what its `enable` names on this chip."""
        del register
        return not cast("Resets", self._wiring.parts["resets"]).held >> bit & 1

    def check(self) -> None:
        """Refuse a core without a clock, or with more than the chip takes."""
        hz = self.core_hz()
        if hz > _CORE_LIMIT_HZ:
            self._wiring.refuse(f"the core's clock is `{hz / 1e6:g} MHz`; the chip takes 133 MHz")
        elif hz <= 0:
            self._wiring.refuse("the core is switched to a clock that does not run")

    # --- registers ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        if offset == _REF_SELECTED:
            return 1 << (self._registers.get(_REF_CTRL, 0) & 0b11)
        if offset == _SYS_SELECTED:
            return 1 << (self._registers.get(_SYS_CTRL, 0) & 1)
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        old = self._registers.get(offset, 0)
        new = old & ~mask | value
        if offset == _SYS_CTRL and old & new & 1 and (old ^ new) >> 5 & 0b111:
            self._wiring.refuse(
                "clk_sys gets another auxiliary source while it runs from it: that can glitch"
            )
        self._registers[offset] = new
        self.check()


class Resets:
    """RESETS: which subsystems are held."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on: all of them."""
        self.held = 0x01FFFFFF

    def read(self, offset: int) -> int:
        """One aligned word."""
        return {0x00: self.held, 0x08: ~self.held & 0x01FFFFFF}.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        if offset:
            return
        self.held = (self.held & ~mask | value) & 0x01FFFFFF
        for (_, bit), part in self._wiring.resets.items():
            if self.held >> bit & 1:
                part.reset()


class Timer:
    """TIMER: counts the ticks that the watchdog makes of clk_ref."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    def _ticks(self) -> int:
        clocks = cast("Clocks", self._wiring.parts["clocks"])
        tick = self._wiring.parts["watchdog"].read(_TICK)
        cycles = tick & 0x1FF
        if not tick & _TICK_ENABLE or not cycles:
            return 0
        return int(self._wiring.now() / clocks.core_hz() * clocks.reference_hz() / cycles)

    def read(self, offset: int) -> int:
        """One aligned word."""
        if offset == _TIMERAWL:
            return self._ticks() & _WORD
        return self._ticks() >> 32 if offset == _TIMERAWH else 0

    def write(self, offset: int, value: int, mask: int) -> None:
        """Alarms are not modelled."""


def _crystal(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Crystal:
    return Crystal(CrystalParameters.model_validate(parameters), wiring)


def _pll(_name: str, _parameters: Mapping[str, Any], wiring: Wiring) -> Pll:
    return Pll(wiring)


def _clocks(_name: str, _parameters: Mapping[str, Any], wiring: Wiring) -> Clocks:
    clocks = Clocks(wiring)
    wiring.clocks = clocks
    return clocks


def _resets(_name: str, _parameters: Mapping[str, Any], wiring: Wiring) -> Resets:
    return Resets(wiring)


def _timer(_name: str, _parameters: Mapping[str, Any], wiring: Wiring) -> Timer:
    return Timer(wiring)


MODELS = MappingProxyType(
    {
        "rp2040-xosc": _crystal,
        "rp2040-pll": _pll,
        "rp2040-clocks": _clocks,
        "rp2040-resets": _resets,
        "rp2040-timer": _timer,
    }
)
