"""RCC of the STM32H743: HSI, HSE in bypass, PLL1, clock switch, and what its silicon does not allow.

Offsets, bits and reset values: STM32H743.svd; rules: reference manual RM0433, chapters 4 (table 17, wait
states) and 8; limits: data sheet DS12110, tables "general operating conditions" and "PLL characteristics".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, cast

from device_adapters.virtual.oscillators import Oscillators, mhz
from device_adapters.virtual.peripherals.stm32h7_power import Power
from device_adapters.virtual.wiring import HasWaitStates, Wiring
from tinybench.records import Record

_CR, _CFGR, _D1CFGR, _D2CFGR, _D3CFGR = 0x00, 0x10, 0x18, 0x1C, 0x20
_PLLCKSELR, _PLLCFGR, _PLL1DIVR, _D2CCIP2R = 0x28, 0x2C, 0x30, 0x54
_HSION, _HSEON, _HSEBYP, _PLL1ON = 1 << 0, 1 << 16, 1 << 18, 1 << 24
_READY = MappingProxyType({_HSION: 1 << 2, _HSEON: 1 << 17, _PLL1ON: 1 << 25})
_VCOSEL, _DIVP1EN = 1 << 1, 1 << 16
_SWITCH = MappingProxyType({0: _HSION, 2: _HSEON, 3: _PLL1ON})
_HSI_HZ = 64e6
_RESET = MappingProxyType(
    {_CR: 0x00000001, _PLLCKSELR: 0x02020200, _PLLCFGR: 0x01FF0000, _PLL1DIVR: 0x01010280}
)
_ENABLES = MappingProxyType({"AHB4ENR": 0xE0, "APB1LENR": 0xE8, "APB4ENR": 0xF4})
_RESETS = MappingProxyType({0x88: "AHB4ENR", 0x90: "APB1LENR", 0x9C: "APB4ENR"})
_CORE_LIMIT_HZ = MappingProxyType({0: 480e6, 1: 400e6, 2: 300e6, 3: 200e6})  # by voltage scale
_FLASH_HZ = MappingProxyType(  # by scale: the fastest AXI clock for 0, 1, 2, … wait states
    {
        0: (70e6, 140e6, 210e6, 225e6, 240e6),
        1: (70e6, 140e6, 210e6, 225e6),
        2: (55e6, 110e6, 165e6, 225e6),
        3: (45e6, 90e6, 135e6, 180e6, 225e6),
    }
)
_PLL_INPUT_HZ = ((1e6, 2e6), (2e6, 4e6), (4e6, 8e6), (8e6, 16e6))  # by PLL1RGE
_WIDE_HZ = MappingProxyType({"Y": (192e6, 836e6), "V": (192e6, 960e6)})  # by revision (DS12110)
_MEDIUM_HZ = (150e6, 420e6)
_LEAST_MULTIPLIER = 4


class Parameters(Record):
    """What the debug probe gives, how long the analogue parts take in instructions, the revision."""

    hse_hz: int
    settle: int = 200
    revision: Literal["Y", "V"] = "Y"


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
        """The CPU's clock: sys_ck by D1CPRE."""
        return self._system_hz() / _long_divider(self._registers.get(_D1CFGR, 0) >> 8)

    def axi_hz(self) -> float:
        """The clock of AXI, flash and AHB: the CPU's by HPRE."""
        return self.core_hz() / _long_divider(self._registers.get(_D1CFGR, 0))

    def frequency(self, peripheral: str) -> float:
        """The kernel clock of USART2 to 8 on APB1; for any other name, of the core."""
        if not peripheral.startswith(("usart", "uart")):
            return self.core_hz()
        source = self._registers.get(_D2CCIP2R, 0) & 0b111
        hsi = _HSI_HZ if self._is_ready(_HSION) else 0.0
        return {0: self._bus_hz("APB1"), 3: hsi}.get(source, 0.0)

    def is_clocked(self, register: str, bit: int) -> bool:
        """Whether a peripheral's enable bit is set."""
        return bool(self._registers.get(_ENABLES[register], 0) >> bit & 1)

    # --- registers ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        value = self._registers.get(offset, 0)
        if offset == _CR:
            return value | sum(flag for bit, flag in _READY.items() if self._is_ready(bit))
        if offset == _CFGR:
            self._follow_switch()
            return value & ~(0b111 << 3) | self._selected << 3
        return value

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        old = self._registers.get(offset, 0)
        new = old & ~mask | value
        if offset == _CR:
            self._write_control(old, new)
        elif offset in (_PLLCKSELR, _PLLCFGR, _PLL1DIVR) and self._registers[_CR] & _PLL1ON:
            pass  # only while the PLL is off
        elif offset in _RESETS:
            self._registers[offset] = new
            self._wiring.hold_in_reset(_RESETS[offset], new)
        else:
            self._registers[offset] = new
        if offset == _CFGR:
            self._follow_switch()
        self.check()

    def _write_control(self, old: int, new: int) -> None:
        new &= ~sum(_READY.values())
        new |= _SWITCH[self._selected]  # what drives the core cannot be switched off
        if self._selected == 3:  # noqa: PLR2004 - SW's value for PLL1
            new |= _HSEON if self._registers[_PLLCKSELR] & 0b11 == 2 else _HSION  # noqa: PLR2004 - HSE
        if old & _HSEON:
            new = new & ~_HSEBYP | old & _HSEBYP  # only while HSE is off
        self._registers[_CR] = new
        self._oscillators.switch(old, new, _READY)
        if new & _PLL1ON and not old & _PLL1ON:
            self._check_pll()

    def _is_ready(self, bit: int) -> bool:
        if not self._oscillators.has_settled(bit):
            return False
        if bit == _HSEON:
            return bool(self._registers[_CR] & _HSEBYP)  # there is no crystal
        if bit == _PLL1ON:
            source = {0: _HSION, 2: _HSEON}.get(self._registers[_PLLCKSELR] & 0b11)
            return source is not None and self._is_ready(source)
        return True

    def _follow_switch(self) -> None:
        wanted = self._registers.get(_CFGR, 0) & 0b111
        bit = _SWITCH.get(wanted)
        if bit is None or wanted == self._selected or not self._is_ready(bit):
            return
        if bit == _PLL1ON and not self._registers[_PLLCFGR] & _DIVP1EN:
            return
        self._selected = wanted
        self.check()

    # --- frequencies ---

    def _hsi_hz(self) -> float:
        return _HSI_HZ / (1 << (self._registers[_CR] >> 3 & 0b11))

    def _pll_hz(self) -> tuple[float, float, float]:
        """Into the VCO, out of it, and of output P."""
        select, dividers = self._registers[_PLLCKSELR], self._registers[_PLL1DIVR]
        source = {0: self._hsi_hz(), 2: float(self._parameters.hse_hz)}.get(select & 0b11, 0.0)
        prescaler = select >> 4 & 0x3F
        into = source / prescaler if prescaler else 0.0
        out = into * ((dividers & 0x1FF) + 1)
        return into, out, out / ((dividers >> 9 & 0x7F) + 1)

    def _system_hz(self) -> float:
        return {0: self._hsi_hz(), 2: float(self._parameters.hse_hz), 3: self._pll_hz()[2]}[self._selected]

    def _bus_hz(self, bus: str) -> float:
        offset, shift = {
            "APB1": (_D2CFGR, 4),
            "APB2": (_D2CFGR, 8),
            "APB3": (_D1CFGR, 4),
            "APB4": (_D3CFGR, 4),
        }[bus]
        field = self._registers.get(offset, 0) >> shift & 0b111
        return self.axi_hz() / (2 << (field & 0b11) if field & 0b100 else 1)

    # --- what silicon does not allow ---

    def _check_pll(self) -> None:
        into, out, _ = self._pll_hz()
        config, dividers = self._registers[_PLLCFGR], self._registers[_PLL1DIVR]
        multiplier, post = (dividers & 0x1FF) + 1, (dividers >> 9 & 0x7F) + 1
        if multiplier < _LEAST_MULTIPLIER:
            self._wiring.refuse(f"PLL1 is started with DIVN1 = `{multiplier}`; it takes 4 to 512")
            return
        if post != 1 and post % 2:
            self._wiring.refuse(f"PLL1 is started with DIVP1 = `{post}`; it takes 1 and even numbers")
            return
        limits = (
            _PLL_INPUT_HZ[config >> 2 & 0b11],
            _MEDIUM_HZ if config & _VCOSEL else _WIDE_HZ[self._parameters.revision],
        )
        for name, hz, (low_hz, high_hz) in zip(("input", "output"), (into, out), limits, strict=True):
            if not low_hz <= hz <= high_hz:
                self._wiring.refuse(
                    f"PLL1's VCO {name} is `{mhz(hz)}`; as it is set it takes {mhz(low_hz)} to {mhz(high_hz)}"
                )
                return

    def check(self) -> None:
        """Refuse clocks that the voltage, the flash or a bus cannot follow."""
        scale = cast("Power", self._wiring.parts["pwr"]).scale
        states = cast("HasWaitStates", self._wiring.parts["flash"]).wait_states
        limit = _CORE_LIMIT_HZ[scale]
        axi, speeds = self.axi_hz(), _FLASH_HZ[scale]
        limits_hz = {"core": (self.core_hz(), limit), "AXI": (axi, limit / 2)}
        if (
            self._selected
        ):  # after reset HSI drives all of them at 64 MHz, which the table does not allow at scale 3
            limits_hz |= {bus: (self._bus_hz(bus), limit / 4) for bus in ("APB1", "APB2", "APB3", "APB4")}
        for name, (hz, most) in limits_hz.items():
            if hz > most:
                self._wiring.refuse(
                    f"{name} is clocked with `{mhz(hz)}`; voltage scale {scale} allows {mhz(most)}"
                )
                return
        if axi > speeds[min(states, len(speeds) - 1)]:
            needed = next(n for n, fastest in enumerate(speeds) if axi <= fastest)
            self._wiring.refuse(f"the flash has `{states}` wait states; {mhz(axi)} needs at least {needed}")


def _long_divider(field: int) -> int:
    """HPRE and D1CPRE: by 1, 2, 4, 8, 16, 64 … 512."""
    return (2, 4, 8, 16, 64, 128, 256, 512)[field & 7] if field & 8 else 1


def _build(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Rcc:
    rcc = Rcc(Parameters.model_validate(parameters), wiring)
    wiring.clocks = rcc
    return rcc


MODELS = MappingProxyType({"stm32h7-rcc": _build})
