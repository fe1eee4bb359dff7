"""RCC of the STM32F74x/75x: oscillators, PLL, the clock switch, the gates, and what silicon does not allow.

Offsets and bits: RCC_TypeDef, RCC_CR_*, RCC_PLLCFGR_*, RCC_CFGR_* in the CMSIS device header; reset values:
the SVD; rules: reference manual RM0385, chapter 5; limits: data sheet DS10916, tables "general operating
conditions", "main PLL characteristics", and RM0385 table 6 (wait states at 2.7 V to 3.6 V).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, cast

from device_adapters.virtual.oscillators import Oscillators, mhz
from device_adapters.virtual.peripherals.stm32f7_flash import FlashInterface
from device_adapters.virtual.peripherals.stm32f7_power import Power
from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_CR, _PLLCFGR, _CFGR, _DCKCFGR2 = 0x00, 0x04, 0x08, 0x90
_HSION, _HSEON, _HSEBYP, _PLLON = 1 << 0, 1 << 16, 1 << 18, 1 << 24
_SWITCH_HSE, _SWITCH_PLL = 0b01, 0b10
_RESET = MappingProxyType(
    {
        _CR: 0x00000081,
        _PLLCFGR: 0x24003010,
        0x30: 0x00100000,
        0x50: 0x7E6791FF,
        0x54: 0x000000F1,
        0x58: 0x00000001,
        0x60: 0x36FEC9FF,
        0x64: 0x00075F33,
        0x74: 0x0E000000,
        0x84: 0x20003000,
        0x88: 0x20003000,
    }
)
_ENABLES = MappingProxyType(
    {"AHB1ENR": 0x30, "AHB2ENR": 0x34, "AHB3ENR": 0x38, "APB1ENR": 0x40, "APB2ENR": 0x44}
)
_RESETS = MappingProxyType(
    {0x10: "AHB1ENR", 0x14: "AHB2ENR", 0x18: "AHB3ENR", 0x20: "APB1ENR", 0x24: "APB2ENR"}
)
_UARTS = (
    "usart1",
    "usart2",
    "usart3",
    "uart4",
    "uart5",
    "usart6",
    "uart7",
    "uart8",
)  # order of DCKCFGR2's fields
_ON_APB2 = ("usart1", "usart6")
_CORE_LIMIT_HZ = MappingProxyType(  # (voltage scale, overdrive)
    {
        (1, False): 180e6,
        (1, True): 216e6,
        (2, False): 168e6,
        (2, True): 180e6,
        (3, False): 144e6,
        (3, True): 144e6,
    }
)
_APB1_LIMIT_HZ = MappingProxyType({False: 45e6, True: 54e6})
_APB2_LIMIT_HZ = MappingProxyType({False: 90e6, True: 108e6})
_HZ_PER_WAIT_STATE = 30e6
_VCO_IN_HZ = (0.95e6, 2.1e6)
_VCO_OUT_HZ = (100e6, 432e6)


class Parameters(Record):
    """The board's oscillator, and how many instructions the analogue parts take to get ready."""

    hse_hz: int = 0
    hse: Literal["none", "crystal", "bypass"] = "none"
    hsi_hz: int = 16_000_000
    settle: int = 200


@dataclass(frozen=True)
class _Pll:
    input_hz: float
    vco_hz: float
    output_hz: float


class Rcc:
    """The clock controller."""

    def __init__(self, parameters: Parameters, wiring: Wiring) -> None:
        self._parameters = parameters
        self._wiring = wiring
        self._oscillators = Oscillators(wiring.now, parameters.settle)
        self.reset()

    def reset(self) -> None:
        """As after power-on: HSI, no PLL."""
        self._registers = dict(_RESET)
        self._oscillators.reset(_HSION)
        self._selected = 0

    # --- what others ask ---

    def core_hz(self) -> float:
        """SYSCLK through the AHB prescaler."""
        field = self._registers.get(_CFGR, 0) >> 4 & 0xF
        divider = (2, 4, 8, 16, 64, 128, 256, 512)[field & 7] if field & 8 else 1
        return self._system_hz() / divider

    def frequency(self, peripheral: str) -> float:
        """The kernel clock of a UART or, for any other name, of its bus (`apb1`, `apb2`)."""
        apb1, apb2 = self._bus_hz(10), self._bus_hz(13)
        if peripheral not in _UARTS:
            return {"apb1": apb1, "apb2": apb2}.get(peripheral, self.core_hz())
        source = self._registers.get(_DCKCFGR2, 0) >> 2 * _UARTS.index(peripheral) & 0b11
        bus = apb2 if peripheral in _ON_APB2 else apb1
        hsi = self._parameters.hsi_hz if self._is_ready(_HSION) else 0
        return (bus, self._system_hz(), hsi, 0.0)[source]  # 3 is LSE, which the board does not have

    def is_clocked(self, register: str, bit: int) -> bool:
        """Whether a peripheral's enable bit is set."""
        return bool(self._registers.get(_ENABLES[register], 0) >> bit & 1)

    # --- registers ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        value = self._registers.get(offset, 0)
        if offset == _CR:
            return value | sum(bit << 1 for bit in (_HSION, _HSEON, _PLLON) if self._is_ready(bit))
        if offset == _CFGR:
            self._follow_switch()
            return value & ~0b1100 | self._selected << 2
        return value

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        old = self._registers.get(offset, 0)
        new = old & ~mask | value
        if offset == _CR:
            self._write_control(old, new)
        elif offset == _PLLCFGR:
            if not self._registers[_CR] & _PLLON:  # only while the PLL is off (RM0385, 5.3.2)
                self._registers[_PLLCFGR] = new
        elif offset in _RESETS:
            self._registers[offset] = new
            self._wiring.hold_in_reset(_RESETS[offset], new)
        else:
            self._registers[offset] = new
        if offset == _CFGR:
            self._follow_switch()
        self.check()

    def _write_control(self, old: int, new: int) -> None:
        in_use = {0: _HSION, _SWITCH_HSE: _HSEON, _SWITCH_PLL: _PLLON}.get(self._selected, 0)
        new |= in_use  # what drives the core cannot be switched off
        if self._selected == _SWITCH_PLL:
            new |= _HSEON if self._registers[_PLLCFGR] >> 22 & 1 else _HSION
        if old & _HSEON:
            new = new & ~_HSEBYP | old & _HSEBYP  # only while HSE is off
        self._registers[_CR] = new & 0xFD0D00F9 & ~(0b10 << 24)
        self._oscillators.switch(old, new, (_HSION, _HSEON, _PLLON))
        if new & _PLLON and not old & _PLLON:
            self._check_pll()

    def _is_ready(self, bit: int) -> bool:
        if not self._oscillators.has_settled(bit):
            return False
        if bit == _HSEON:
            wanted = {"bypass": True, "crystal": False}.get(self._parameters.hse)
            return bool(self._registers[_CR] & _HSEBYP) is wanted
        if bit == _PLLON:
            return self._is_ready(_HSEON if self._registers[_PLLCFGR] >> 22 & 1 else _HSION)
        return True

    def _follow_switch(self) -> None:
        wanted = self._registers.get(_CFGR, 0) & 0b11
        bit = {0: _HSION, _SWITCH_HSE: _HSEON, _SWITCH_PLL: _PLLON}.get(wanted)
        if bit is not None and wanted != self._selected and self._is_ready(bit):
            self._selected = wanted
            self.check()

    # --- frequencies ---

    def _pll(self) -> _Pll:
        word = self._registers[_PLLCFGR]
        source = self._parameters.hse_hz if word >> 22 & 1 else self._parameters.hsi_hz
        m, n, p = word & 0x3F, word >> 6 & 0x1FF, 2 * (word >> 16 & 0b11) + 2
        into = source / m if m else 0.0
        return _Pll(into, into * n, into * n / p)

    def _system_hz(self) -> float:
        return (float(self._parameters.hsi_hz), float(self._parameters.hse_hz), self._pll().output_hz)[
            self._selected
        ]

    def _bus_hz(self, shift: int) -> float:
        field = self._registers.get(_CFGR, 0) >> shift & 0b111
        return self.core_hz() / (2 << (field & 0b11) if field & 0b100 else 1)

    # --- what silicon does not allow ---

    def _check_pll(self) -> None:
        word, pll = self._registers[_PLLCFGR], self._pll()
        m, n, q = word & 0x3F, word >> 6 & 0x1FF, word >> 24 & 0xF
        for name, value, low, high in (("PLLM", m, 2, 63), ("PLLN", n, 50, 432), ("PLLQ", q, 2, 15)):
            if not low <= value <= high:
                self._wiring.refuse(f"the PLL is started with {name} = `{value}`; it takes {low} to {high}")
                return
        for name, hz, (low_hz, high_hz) in (
            ("input", pll.input_hz, _VCO_IN_HZ),
            ("output", pll.vco_hz, _VCO_OUT_HZ),
        ):
            if not low_hz <= hz <= high_hz:
                limits = f"{mhz(low_hz)} to {mhz(high_hz)}"
                self._wiring.refuse(f"the PLL's VCO {name} is `{mhz(hz)}`; it takes {limits}")
                return

    def check(self) -> None:
        """Refuse clocks that the voltage, the flash or a bus cannot follow."""
        power = cast("Power", self._wiring.parts["pwr"])
        flash = cast("FlashInterface", self._wiring.parts["flash"])
        hz, overdrive = self.core_hz(), power.overdrive
        limit = _CORE_LIMIT_HZ[power.scale, overdrive]
        needed = max(int(-(-hz // _HZ_PER_WAIT_STATE)) - 1, 0)
        with_or_without = "with" if overdrive else "without"
        if hz > limit:
            self._wiring.refuse(
                f"the core's clock is `{mhz(hz)}`; voltage scale {power.scale} {with_or_without} overdrive "
                f"allows {mhz(limit)}"
            )
        elif flash.wait_states < needed:
            self._wiring.refuse(
                f"the flash has `{flash.wait_states}` wait states; {mhz(hz)} needs at least {needed}"
            )
        for bus, shift, bus_limit in (
            ("APB1", 10, _APB1_LIMIT_HZ[overdrive]),
            ("APB2", 13, _APB2_LIMIT_HZ[overdrive]),
        ):
            if self._bus_hz(shift) > bus_limit:
                self._wiring.refuse(
                    f"{bus} is clocked with `{mhz(self._bus_hz(shift))}`; {with_or_without} overdrive it "
                    f"allows {mhz(bus_limit)}"
                )


def _build(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Rcc:
    rcc = Rcc(Parameters.model_validate(parameters), wiring)
    wiring.clocks = rcc
    return rcc


MODELS = MappingProxyType({"stm32f7-rcc": _build})
