"""The image that a NUCLEO-F746ZG would be flashed with, on its twin: start-up, verbs, faults, stack."""

from __future__ import annotations

import copy
import re
import zlib
from contextlib import contextmanager

import pytest

from tinybench import elf, toolchain
from tinybench.build import build
from tinybench.errors import LinkTimeout

pytestmark = pytest.mark.needs("python:unicorn")

INPUT = bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 255])
RESULTS = "m-results-[32.250,32.500,32.750,33.000,33.250,33.500,33.750,34.000,34.250,32.000]"
PATIENCE_S = 60  # of this computer: a limit, not an expectation


class Board:
    """A board that is switched on, and what it says."""

    def __init__(self, link, image) -> None:
        self.link = link
        self.image = image
        self.boot = self._until_ready()

    def ask(self, command: str) -> list[str]:
        self.link.write(command.encode() + b"%")
        return self._until_ready()

    def run(self, data: bytes) -> list[str]:
        """One inference of this input."""
        assert self.ask(f"tb bin {len(data)}") == [f"m-tb-bin-[{len(data)}]"]
        self.link.write(data + zlib.crc32(data).to_bytes(4, "little"))
        assert self._until_ready() == ["m-load-done"]
        return self.ask("infer 1 0")

    def _until_ready(self) -> list[str]:
        said = b""
        while not said.endswith(b"m-ready\r\n"):
            said += self.link.read(PATIENCE_S)
        return said.decode().split("\r\n")[:-2]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("gcc", marks=pytest.mark.needs("arm-none-eabi-gcc")),
        pytest.param("zig", marks=pytest.mark.needs("python:ziglang")),
    ],
)
def images(request, tiny, cache):
    compiler = toolchain.find(request.param, cache)
    return {
        kind: build(tiny.workload(), tiny.engine(), tiny.board, kind, compiler=compiler, cache=cache)
        for kind in ("clean", "instrumented")
    }


@pytest.fixture
def switched_on(tiny):
    from device_adapters.virtual.adapter import VirtualAdapter

    @contextmanager
    def opened(image):
        adapter = VirtualAdapter()
        (device,) = adapter.find(tiny.board)
        with adapter.open(device, image) as link:
            yield Board(link, image)

    return opened


def test_it_boots_and_is_the_image_that_was_built(images, switched_on) -> None:
    with switched_on(images["clean"]) as board:
        assert board.boot == ["m-timestamp-mode-performance", "m-lap-us-0", "m-init-done"]
        assert board.ask("tb id")[0] == f"m-tb-build-id-[{board.image.build_id}]"


def test_it_runs_at_the_clock_that_the_target_promises(images, switched_on) -> None:
    with switched_on(images["clean"]) as board:
        hz, loop = board.ask("tb clk")
        assert hz == "m-tb-clk-hz-[216000000]"
        iterations, ticks = map(int, re.findall(r"\d+", loop))
        assert 3 * iterations < ticks < 10 * iterations


def test_it_infers_what_the_engine_computes(images, switched_on) -> None:
    for image in images.values():
        with switched_on(image) as board:
            assert board.run(INPUT)[-1] == RESULTS
            assert board.ask("tb out") == [f"m-tb-out-[{bytes((b + 1) % 256 for b in INPUT).hex()}]"]


def test_equal_inferences_take_equal_time(images, switched_on) -> None:
    with switched_on(images["clean"]) as board:
        board.run(INPUT)
        times = re.findall(r"\d+", board.ask("tb lat 12 3")[0])
        assert len(times) == 12
        assert len(set(times)) == 1


def test_operators_are_timed_in_the_instrumented_image_only(images, switched_on) -> None:
    with switched_on(images["instrumented"]) as board:
        board.run(INPUT)
        lines = board.ask("tb layers")
        assert [re.sub(r"\d+\]$", "", line) for line in lines] == [
            "m-tb-layer-[0 orders ",
            "m-tb-layer-[1 increment ",
        ]
    with switched_on(images["clean"]) as board:
        assert board.ask("tb layers") == ["e-[Not in the clean image]"]


def test_the_stack_is_measured_to_the_byte_that_a_known_user_reached(images, switched_on, tiny) -> None:
    end = elf.spans(images["instrumented"].elf)[".tb_stack"]
    top = sum(end)
    with switched_on(images["instrumented"]) as board:
        board.run(INPUT)
        before, reserved = stack(board)
        board.run(b"\x73" + INPUT[1:])
        after, _ = stack(board)
        address = bytes.fromhex(board.ask("tb out")[0].removeprefix("m-tb-out-[")[:8])
        reached = top - int.from_bytes(address, "little")
    assert reserved == tiny.board.firmware.stack_bytes == end[1]
    assert before < 1234 < reached
    assert abs(after - reached) <= 32


def stack(board: Board) -> tuple[int, int]:
    used, reserved = re.findall(r"\d+", board.ask("tb mem")[1])
    return int(used), int(reserved)


def test_the_clean_image_tells_only_what_is_reserved(images, switched_on) -> None:
    with switched_on(images["clean"]) as board:
        assert board.ask("tb mem") == [
            "m-tb-mem-arena-[10 10]",
            "m-tb-mem-stack-[- 8192]",
            "m-tb-mem-heap-[0 0]",
        ]


FAULT = re.compile(
    r"e-tb-fault-\[pc=(?P<pc>[0-9a-f]{8}) lr=[0-9a-f]{8} psr=[0-9a-f]{8} cfsr=(?P<cfsr>[0-9a-f]{8})"
    r" hfsr=(?P<hfsr>[0-9a-f]{8}) mmfar=[0-9a-f]{8} bfar=(?P<bfar>[0-9a-f]{8})\]"
)


def test_a_fault_is_reported_with_the_place_and_the_cause(images, switched_on) -> None:
    with switched_on(images["clean"]) as board:
        fault = FAULT.fullmatch(board.run(b"\x72" + INPUT[1:])[-1])
    assert fault
    at = int(fault["pc"], 16)
    (where,) = (f.name for f in elf.functions(images["clean"].elf) if f.start <= at < f.end)
    assert where == "tb_op_000"
    assert int(fault["cfsr"], 16) & 0x8000, "BFARVALID"
    assert (fault["bfar"], fault["hfsr"]) == ("cccccccc", "40000000")


def test_a_stack_that_overflows_is_reported_from_another(images, switched_on, tiny) -> None:
    with switched_on(images["clean"]) as board:
        fault = FAULT.fullmatch(board.run(b"\x74" + INPUT[1:])[-1])
    assert fault
    assert int(fault["cfsr"], 16) & 0x1000, "STKERR"
    lowest = tiny.board.region_for("stack").origin
    assert lowest - 4096 < int(fault["bfar"], 16) < lowest
    assert fault["pc"] == "00000000"


def test_after_a_fault_it_waits_for_reset(images, switched_on) -> None:
    with switched_on(images["clean"]) as board:
        board.run(b"\x72" + INPUT[1:])
        board.link.write(b"name%")
        with pytest.raises(LinkTimeout):
            board.link.read(1)


def test_the_line_goes_faster_on_request(images, switched_on) -> None:
    with switched_on(images["clean"]) as board:
        assert board.ask("tb baud 921600") == ["m-tb-baud-[921600]"]
        board.link.set_baud(921600)
        assert board.ask("name") == ["m-name-dut-[tinybench nucleo-f746]"]
        assert board.ask("tb baud 3000000") == ["e-[Baud rate not possible]"]


@pytest.mark.parametrize("waits_s", [0.9, 1.1])
def test_a_speed_that_nobody_confirms_within_a_second_is_given_up(images, switched_on, waits_s) -> None:
    with switched_on(images["clean"]) as board:
        board.ask("tb baud 460800")
        machine = board.link._board
        asked_s = machine.waited_s()
        while machine.waited_s() - asked_s < waits_s:
            machine.run(100_000)
        board.link.set_baud(460800 if waits_s < 1 else 115200)
        assert board.ask("name") == ["m-name-dut-[tinybench nucleo-f746]"]


def test_a_board_whose_clock_does_not_start_says_so_and_nothing_else(tiny, cache) -> None:
    """As with the ST-LINK's clock disconnected: HSI drives the line, and no number comes from it."""
    from device_adapters.virtual.adapter import VirtualAdapter

    table = copy.deepcopy(tiny.board.virtual)
    (rcc,) = (entry for entry in table["peripherals"] if entry["name"] == "rcc")
    rcc["parameters"]["hse"] = "none"
    impatient = tiny.board.firmware.model_copy(update={"defines": {"TB_CLOCK_POLLS": "1000U"}})
    board = tiny.board.model_copy(update={"virtual": table, "firmware": impatient})
    compiler = toolchain.find(None, cache)
    image = build(tiny.workload(), tiny.engine(), board, "clean", compiler=compiler, cache=cache)
    adapter = VirtualAdapter()
    (device,) = adapter.find(board)
    said = b""
    with adapter.open(device, image) as link:
        while not said.endswith(b"\r\n"):
            said += link.read(PATIENCE_S)
        link.write(b"name%")
        with pytest.raises(LinkTimeout):
            link.read(1)
    assert said == b"e-[HSE does not start]\r\n"
