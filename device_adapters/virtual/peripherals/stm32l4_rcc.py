"""RCC of the STM32L4 and L4+: MSI, HSI16, LSE, main PLL, clock switch, and what silicon does not allow.

Offsets, bits and reset values: STM32L475.svd and, where the L4+ differs (PLLM has four bits), STM32L4R5.svd
by way of stm32-rs; rules: RM0351 (L4) and RM0432 (L4+), chapters 3, 5 and 6; limits: data sheets DS10969
(L475) and DS12023 (L4R5), tables "general operating conditions" and "PLL characteristics".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, cast

from device_adapters.virtual.oscillators import Oscillators, mhz
from device_adapters.virtual.peripherals.stm32l4_power import Power
from device_adapters.virtual.wiring import HasWaitStates, Wiring
from tinybench.records import Record

_CR, _CFGR, _PLLCFGR, _CCIPR, _BDCR, _CSR = 0x00, 0x08, 0x0C, 0x88, 0x90, 0x94
_MSION, _MSIPLLEN, _MSIRGSEL, _HSION, _HSEON, _PLLON = 1 << 0, 1 << 2, 1 << 3, 1 << 8, 1 << 16, 1 << 24
_READY_SHIFT = MappingProxyType({_MSION: 1, _HSION: 2, _HSEON: 1, _PLLON: 1})
_LSEON, _LSERDY = 1 << 0, 1 << 1
_SWITCH = (_MSION, _HSION, _HSEON, _PLLON)  # SW 0 to 3
_PLLREN = 1 << 24
_MSI_HZ = (100e3, 200e3, 400e3, 800e3, 1e6, 2e6, 4e6, 8e6, 16e6, 24e6, 32e6, 48e6)
_HSI_HZ, _LSE_HZ = 16e6, 32768.0
_RESET = MappingProxyType({_CR: 0x00000063, _PLLCFGR: 0x00001000, 0x48: 0x00000100, _CSR: 0x0C000600})
_ENABLES = MappingProxyType(
    {
        "AHB1ENR": 0x48,
        "AHB2ENR": 0x4C,
        "AHB3ENR": 0x50,
        "APB1ENR1": 0x58,
        "APB1ENR2": 0x5C,
        "APB2ENR": 0x60,
    }
)
_RESETS = MappingProxyType({offset - 0x20: name for name, offset in _ENABLES.items()})
_UARTS = ("usart1", "usart2", "usart3", "uart4", "uart5", "lpuart1")  # order of CCIPR's fields
_VCO_HZ = MappingProxyType({1: (64e6, 344e6), 2: (64e6, 128e6)})  # by voltage range


@dataclass(frozen=True)
class _Family:
    """Where L4 and L4+ differ."""

    multiplier: tuple[int, int]
    divider_mask: int
    input_hz: tuple[float, float]
    limit_hz: Mapping[tuple[int, bool], float]  # (voltage range, boost)
    flash_hz: Mapping[int, tuple[float, ...]]  # by range: the fastest core for 0, 1, 2, … wait states


_FAMILIES = MappingProxyType(
    {
        "l4": _Family(
            multiplier=(8, 86),
            divider_mask=0b111,
            input_hz=(4e6, 16e6),
            limit_hz={(1, False): 80e6, (2, False): 26e6},
            flash_hz={1: (16e6, 32e6, 48e6, 64e6, 80e6), 2: (6e6, 12e6, 18e6, 26e6)},
        ),
        "l4+": _Family(
            multiplier=(8, 127),
            divider_mask=0b1111,
            input_hz=(2.66e6, 16e6),
            limit_hz={(1, False): 80e6, (1, True): 120e6, (2, False): 26e6},
            flash_hz={1: (20e6, 40e6, 60e6, 80e6, 100e6, 120e6), 2: (8e6, 16e6, 26e6)},
        ),
    }
)
_UNSTEPPED_HZ = 80e6


class Parameters(Record):
    """The family, the board's crystals, and how many instructions the analogue parts take to get ready."""

    family: Literal["l4", "l4+"]
    lse: bool = False
    settle: int = 200


class Rcc:
    """The clock controller."""

    def __init__(self, parameters: Parameters, wiring: Wiring) -> None:
        self._parameters = parameters
        self._family = _FAMILIES[parameters.family]
        self._wiring = wiring
        self._oscillators = Oscillators(wiring.now, parameters.settle)
        self.reset()

    def reset(self) -> None:
        """As after power-on: MSI at 4 MHz."""
        self._registers = dict(_RESET)
        self._oscillators.reset(_MSION)
        self._crystal_at: int | None = None
        self._selected = 0

    # --- what others ask ---

    def core_hz(self) -> float:
        """SYSCLK through the AHB prescaler."""
        field = self._registers.get(_CFGR, 0) >> 4 & 0xF
        return self._source_hz(self._selected) / (
            (2, 4, 8, 16, 64, 128, 256, 512)[field & 7] if field & 8 else 1
        )

    def frequency(self, peripheral: str) -> float:
        """The kernel clock of a UART; for any other name, of the core."""
        if peripheral not in _UARTS:
            return self.core_hz()
        source = self._registers.get(_CCIPR, 0) >> 2 * _UARTS.index(peripheral) & 0b11
        bus = self._bus_hz(11) if peripheral == "usart1" else self._bus_hz(8)
        hsi = _HSI_HZ if self._is_ready(_HSION) else 0.0
        lse = _LSE_HZ if self._crystal_runs() else 0.0
        return (bus, self._source_hz(self._selected), hsi, lse)[source]

    def is_clocked(self, register: str, bit: int) -> bool:
        """Whether a peripheral's enable bit is set."""
        return bool(self._registers.get(_ENABLES[register], 0) >> bit & 1)

    # --- registers ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        value = self._registers.get(offset, 0)
        if offset == _CR:
            return value | sum(bit << shift for bit, shift in _READY_SHIFT.items() if self._is_ready(bit))
        if offset == _CFGR:
            self._follow_switch()
            return value & ~0b1100 | self._selected << 2
        if offset == _BDCR:
            return value | (_LSERDY if self._crystal_runs() else 0)
        return value

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        old = self._registers.get(offset, 0)
        new = old & ~mask | value
        if offset == _CR:
            self._write_control(old, new)
        elif offset == _PLLCFGR:
            self._write_pll(old, new)
        elif offset == _BDCR:
            self._write_backup(new)
        elif offset in _RESETS:
            self._registers[offset] = new
            self._wiring.hold_in_reset(_RESETS[offset], new)
        else:
            self._registers[offset] = new
        if offset == _CFGR:
            self._follow_switch()
        self.check()

    def _write_control(self, old: int, new: int) -> None:
        new &= ~sum(bit << shift for bit, shift in _READY_SHIFT.items())
        new |= _SWITCH[self._selected]  # what drives the core cannot be switched off
        if new & _MSIPLLEN and not old & _MSIPLLEN and not self._crystal_runs():
            self._wiring.refuse("MSI is to be held by LSE, which does not run")
        if new & 0xF0 != old & 0xF0 and new >> 4 & 0xF >= len(_MSI_HZ):
            self._wiring.refuse(f"MSI is set to range `{new >> 4 & 0xF}`; there are 0 to 11")
            return
        self._registers[_CR] = new
        self._oscillators.switch(old, new, _READY_SHIFT)
        if new & _PLLON and not old & _PLLON:
            self._check_pll()

    def _write_pll(self, old: int, new: int) -> None:
        if self._registers[_CR] & _PLLON:
            frozen = 0x7F << 8 | 0xF << 4 | 0b11  # N, M and the source: only while the PLL is off
            new = new & ~frozen | old & frozen
        self._registers[_PLLCFGR] = new

    def _write_backup(self, new: int) -> None:
        if not self._power().backup_domain_open:
            return
        self._registers[_BDCR] = new & ~_LSERDY
        if not new & _LSEON:
            self._crystal_at = None
        elif self._crystal_at is None:
            self._crystal_at = self._wiring.now() + 10 * self._parameters.settle

    def _crystal_runs(self) -> bool:
        return (
            self._parameters.lse and self._crystal_at is not None and self._wiring.now() >= self._crystal_at
        )

    def _is_ready(self, bit: int) -> bool:
        if not self._oscillators.has_settled(bit):
            return False
        if bit == _HSEON:
            return False  # none of our boards has this crystal
        if bit == _PLLON:
            source = (None, _MSION, _HSION, _HSEON)[self._registers[_PLLCFGR] & 0b11]
            return source is not None and self._is_ready(source)
        return True

    def _follow_switch(self) -> None:
        wanted = self._registers.get(_CFGR, 0) & 0b11
        bit = _SWITCH[wanted]
        if wanted == self._selected or not self._is_ready(bit):
            return
        if bit == _PLLON and not self._registers[_PLLCFGR] & _PLLREN:
            return
        before = self.core_hz()
        self._selected = wanted
        if before <= _UNSTEPPED_HZ < self.core_hz():
            self._wiring.refuse(
                f"the core goes from `{mhz(before)}` to `{mhz(self.core_hz())}` in one step; beyond "
                f"{mhz(_UNSTEPPED_HZ)} it goes by half of that (RM0432 5.1.8)"
            )
        self.check()

    # --- frequencies ---

    def _power(self) -> Power:
        return cast("Power", self._wiring.parts["pwr"])

    def _source_hz(self, switch: int) -> float:
        return (self._msi_hz(), _HSI_HZ, 0.0, self._pll_hz()[2])[switch]

    def _msi_hz(self) -> float:
        control = self._registers[_CR]
        field = control >> 4 if control & _MSIRGSEL else self._registers[_CSR] >> 8
        return _MSI_HZ[field & 0xF]

    def _pll_hz(self) -> tuple[float, float, float]:
        """Into the VCO, out of it, and of PLLCLK."""
        word = self._registers[_PLLCFGR]
        source = (0.0, self._msi_hz(), _HSI_HZ, 0.0)[word & 0b11]
        into = source / ((word >> 4 & self._family.divider_mask) + 1)
        out = into * (word >> 8 & 0x7F)
        return into, out, out / (2 * (word >> 25 & 0b11) + 2)

    def _bus_hz(self, shift: int) -> float:
        field = self._registers.get(_CFGR, 0) >> shift & 0b111
        return self.core_hz() / (2 << (field & 0b11) if field & 0b100 else 1)

    # --- what silicon does not allow ---

    def _check_pll(self) -> None:
        multiplier = self._registers[_PLLCFGR] >> 8 & 0x7F
        low, high = self._family.multiplier
        if not low <= multiplier <= high:
            self._wiring.refuse(f"the PLL is started with PLLN = `{multiplier}`; it takes {low} to {high}")
            return
        into, out, _ = self._pll_hz()
        limits = (self._family.input_hz, _VCO_HZ[self._power().voltage_range])
        for name, hz, (low_hz, high_hz) in zip(("input", "output"), (into, out), limits, strict=True):
            if not low_hz <= hz <= high_hz:
                self._wiring.refuse(
                    f"the PLL's VCO {name} is `{mhz(hz)}`; it takes {mhz(low_hz)} to {mhz(high_hz)}"
                )
                return

    def check(self) -> None:
        """Refuse clocks that the voltage or the flash cannot follow."""
        power, hz = self._power(), self.core_hz()
        flash = cast("HasWaitStates", self._wiring.parts["flash"])
        voltage, boost = power.voltage_range, power.boost and self._parameters.family == "l4+"
        limit = self._family.limit_hz[voltage, boost]
        speeds = self._family.flash_hz[voltage]
        allowed = speeds[min(flash.wait_states, len(speeds) - 1)]
        if hz > limit:
            mode = " boost" if boost else ""
            self._wiring.refuse(
                f"the core's clock is `{mhz(hz)}`; voltage range {voltage}{mode} allows {mhz(limit)}"
            )
        elif hz > allowed:
            needed = next(states for states, fastest in enumerate(speeds) if hz <= fastest)
            self._wiring.refuse(
                f"the flash has `{flash.wait_states}` wait states; {mhz(hz)} needs at least {needed}"
            )


def _build(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Rcc:
    rcc = Rcc(Parameters.model_validate(parameters), wiring)
    wiring.clocks = rcc
    return rcc


MODELS = MappingProxyType({"stm32l4-rcc": _build})
