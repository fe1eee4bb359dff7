"""A run through pyOCD and a serial port, and the same again when the desk is gone."""

from __future__ import annotations

import json

import pytest
from virtual_desk.desk import VirtualDesk
from virtual_desk.program import Program


@pytest.mark.needs("arm-none-eabi-gcc")
def test_a_run_replays_after_its_board_is_unplugged(desk: VirtualDesk, program: Program) -> None:
    board = desk.plug_in("nucleo-f746")
    done = program("tinybench", "run", "--workload", "fcnn-1x10", "--device", "nucleo-f746")
    assert done.code == 0, done.err
    board.unplug()
    said = program("tinybench", "replay", "latest", "--json", "--quiet")
    assert said.code == 0, said.out + said.err
    assert json.loads(said.out)["identical"]
