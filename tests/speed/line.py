"""A picture of visual wake words (27,648 bytes) over a pseudo-terminal at 115,200 baud, to our real firmware.

    python tests/speed/line.py ELF [ROUNDS]

ELF is a firmware for nucleo-f746 that takes such an input (`tinybench build --workload vww01-mltk --device
nucleo-f746`). It is flashed to a virtual board whose line lets bytes through no faster than their ten bits
take; pyserial opens the other end. Prints seconds and their ratio to the line's limit (goal: at most 1.1).
The board is a process of its own: on a computer that is busy otherwise, it is late, and so is the line.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

from virtual_desk.desk import VirtualDesk

from device_adapters.pyocd_probe.facts import probe_facts
from device_adapters.pyocd_probe.process import ProbeProcess
from device_adapters.serial_link import SerialLink
from tinybench import plugins
from tinybench.config import Settings
from tinybench.session import Session

TARGET, BAUD, INPUT_BYTES = "nucleo-f746", 115_200, 27_648
LIMIT_S = INPUT_BYTES * 10 / BAUD
STAGE_S = 120.0


def main() -> None:
    """Flash once, load often."""
    elf, rounds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    facts = probe_facts(plugins.discover().target(TARGET))
    assert facts is not None
    with tempfile.TemporaryDirectory(prefix="desk-") as folder, VirtualDesk(Path(folder)) as desk:
        os.environ.update(desk.environment())
        board = desk.plug_in(TARGET)
        with SerialLink(board.tty, BAUD) as link, ProbeProcess() as process:
            process.ask(
                "connect",
                STAGE_S,
                uid=board.uid,
                facts=facts.model_dump(mode="json"),
                pack=None,
                unlock=False,
                cache=str(Settings().cache_dir),
            )
            process.ask("load", STAGE_S, elf=str(elf))
            process.ask("start", STAGE_S)
            session = Session.connect(link, clock=time.monotonic, baud=BAUD)
            took_s = []
            for number in range(rounds):
                picture = bytes((number + n * 7) % 256 for n in range(INPUT_BYTES))
                started_s = time.monotonic()
                session.load(picture)
                took_s.append(time.monotonic() - started_s)
    median_s = statistics.median(took_s)
    print(f"{INPUT_BYTES} bytes at {BAUD} baud: median {median_s:.3f} s of {rounds}, limit {LIMIT_S:.3f} s")
    print(
        f"ratio {median_s / LIMIT_S:.3f} (goal 1.1), each: {', '.join(f'{s / LIMIT_S:.3f}' for s in took_s)}"
    )


if __name__ == "__main__":
    main()
