"""How fast the virtual board is: prints millions of instructions per second, and what counting costs.

    python tests/speed/simulate.py [ELF]

Runs inferences of the vww model (or of the image that is named) on the virtual nucleo-f746 with counting and
attribution on, and the same inferences of the same image without any block hook, in turns. The time is that
of this process's CPU, so that other work on the machine disturbs little. Exits 1 below 100 MIPS or a ratio of
0.6.
"""

from __future__ import annotations

import ctypes
import os
import re
import statistics
import sys
import time
import zlib
from pathlib import Path

from unicorn.unicorn_py3.unicorn import uclib

from device_adapters.virtual.board import power_on
from device_adapters.virtual.profile_native import NativeHook
from device_adapters.virtual.symbols import Symbols
from device_adapters.virtual.table import table_of
from tinybench import config, toolchain
from tinybench.build import build
from tinybench.fetch import Fetcher, Places
from tinybench.models import loading, oracle
from tinybench.plugins import Catalogue, discover
from tinybench.target import Target

INFERENCES = 3
ROUNDS = 5
LEAST_MIPS = 100.0
LEAST_RATIO = 0.6
FOREVER = 10**15
VERB, AFTER_VERB = "tb_run_batch_verb", "tb_baud_confirm"


def main() -> int:
    """Measure and print; 0 if it is fast enough."""
    catalogue = discover()
    target = catalogue.target("nucleo-f746")
    elf = Path(sys.argv[1]) if len(sys.argv) > 1 else _vww_image(catalogue, target)
    counted, free = _Bench(target, elf), _Bench(target, elf)
    free.unhook()
    instructions = counted.infer()[1]
    free.infer()
    hooked_s, unhooked_s = [], []
    for _ in range(ROUNDS):
        hooked_s.append(counted.infer()[0])
        unhooked_s.append(free.infer()[0])
    mips = instructions / statistics.median(hooked_s) / 1e6
    bare = instructions / statistics.median(unhooked_s) / 1e6
    print(f"{instructions:,} instructions in {INFERENCES} inferences, median of {ROUNDS} rounds")
    print(f"counting and attribution on: {mips:.0f} MIPS (best {instructions / min(hooked_s) / 1e6:.0f})")
    print(f"without any hook:            {bare:.0f} MIPS (best {instructions / min(unhooked_s) / 1e6:.0f})")
    print(f"ratio: {mips / bare:.2f}")
    return 0 if mips >= LEAST_MIPS and mips / bare >= LEAST_RATIO else 1


class _Bench:
    """One board that has booted and waits for a command."""

    def __init__(self, target: Target, elf: Path) -> None:
        table = table_of(target)
        assert table is not None
        self.board, symbols = power_on(target, table, elf)
        self._verb, self._done = (_start(symbols, name) for name in (VERB, AFTER_VERB))
        self._say(b"")
        self._load_zeros()

    def unhook(self) -> None:
        """Take the block hook away; what is left only stops at the breakpoint."""
        uc, hook = self.board.core._uc, self.board._hook
        assert isinstance(hook, NativeHook), "the slow hook is in use"
        uclib.uc_hook_del(uc._uch, ctypes.c_size_t(hook.block_handle))
        uc.ctl_flush_tb()

    def infer(self) -> tuple[float, int]:
        """CPU seconds and instructions of the inferences, from command to prompt."""
        core = self.board.core
        self.board.line.to_device.extend(f"infer {INFERENCES} 0%".encode())
        self._run_to(self._verb)
        before = core.executed
        started = time.process_time()
        self._run_to(self._done)
        return time.process_time() - started, core.executed - before

    def _run_to(self, address: int) -> None:
        core = self.board.core
        core.break_at(frozenset({address}))
        while core.registers.pc != address:
            core.run(FOREVER)

    def _load_zeros(self) -> None:
        size = int(re.search(r"m-tb-input-\[(\d+) ", self._say(b"tb id%"))[1])
        self._say(f"tb bin {size}%".encode())
        self._say(bytes(size) + zlib.crc32(bytes(size)).to_bytes(4, "little"))

    def _say(self, data: bytes) -> str:
        line = self.board.line
        line.to_device.extend(data)
        reply = bytearray()
        while not reply.endswith(b"m-ready\r\n"):
            self.board.run(FOREVER)
            reply += line.to_host
            line.to_host.clear()
        assert b"\ne-[" not in reply, reply
        return reply.decode()


def _start(symbols: Symbols, name: str) -> int:
    function = symbols.named(name)
    assert function is not None, f"the image has no `{name}`"
    return function.start


def _vww_image(catalogue: Catalogue, target: Target) -> Path:
    settings = config.load({}, environ=os.environ, cwd=Path.cwd()).settings
    fetcher = Fetcher(Places.of(settings))
    entry = catalogue.suite("vww").entries[0]
    workload = loading.resolve(entry, catalogue, fetcher, oracle.installed(settings.cache_dir)).workload
    compiler = toolchain.find(None, settings.cache_dir)
    engine = catalogue.engine("reference")
    return build(workload, engine, target, "clean", compiler=compiler, cache=settings.cache_dir).elf


if __name__ == "__main__":
    sys.exit(main())
