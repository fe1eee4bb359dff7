"""The link to a virtual board: bytes, deadlines, faults in words, and nothing left behind."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import ExitStack, closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_adapters.virtual import ADAPTERS
from device_adapters.virtual.board import Board, make_hook, power_on
from device_adapters.virtual.table import table_of
from tinybench.errors import FirmwareFault, LinkClosed, LinkTimeout, LoadError, UsageError
from tinybench.records import MemoryMap, Toolchain
from tinybench.target import CountsInstructions, Image

USART = """
#define REG(address) (*(volatile uint32_t *)(address))
void open_usart(void) {
    REG(0x40023830) |= 1u << 3;
    REG(0x40023840) |= 1u << 18;
    REG(0x40020C00) = 0xAu << 16;
    REG(0x40020C24) = 0x77;
    REG(0x4000480C) = 139;
    REG(0x40004800) = 0xD;
}
void put(uint32_t byte) {
    while (!(REG(0x4000481C) & 1u << 7)) {}
    REG(0x40004828) = byte;
}
int get(void) { return REG(0x4000481C) & 1u << 5 ? (int)REG(0x40004824) : -1; }
"""
START = """
function reset
  bl program
  b .
"""
ECHO = """
void program(void) {
    open_usart();
    put('!');
    for (;;) {
        int c = get();
        if (c >= 0)
            put((uint32_t)c ^ 1);
    }
}
"""


@pytest.fixture(scope="module")
def open_link(build, nucleo):
    """open_link(stack, firmware): the link of a new board, closed with the stack."""
    adapter = ADAPTERS[0]

    def open_link(stack, firmware):
        image = Image(
            elf=firmware.elf,
            build_id="0" * 40,
            kind="clean",
            toolchain=Toolchain(name="gcc", version="", compile_flags=(), link_flags=()),
            flash_bytes=0,
            ram_static_bytes=0,
            memory=MemoryMap(
                sections=(),
                largest_flash_symbols=(),
                largest_ram_symbols=(),
                arena_reserved_bytes=0,
                stack_reserved_bytes=0,
            ),
            operators=(),
            engine_version="",
        )
        (device,) = adapter.find(nucleo)
        return stack.enter_context(adapter.open(device, image))

    return open_link


@pytest.fixture
def link_to(build, open_link):
    """link_to(c, assembly): a link to new firmware."""
    with ExitStack() as stack:
        yield lambda c, assembly=START: open_link(stack, build(assembly, USART + c))


def read_all(link, count, within_s=10):
    data = b""
    while len(data) < count:
        data += link.read(within_s)
    return data


def test_a_target_with_a_table_is_a_device_and_any_other_is_not(nucleo):
    (device,) = ADAPTERS[0].find(nucleo)
    assert (device.id, device.simulated) == ("virtual:nucleo-f746", True)
    assert ADAPTERS[0].find(nucleo.model_copy(update={"virtual": None})) == ()


def test_a_wrong_table_names_the_field(nucleo, build):
    target = nucleo.model_copy(update={"virtual": {**nucleo.virtual, "serial": "usart9"}})
    with pytest.raises(UsageError, match="no peripheral `usart9`"):
        power_on(target, table_of(target), build("function reset\n b .").elf)
    with pytest.raises(UsageError, match=r"virtual\.boot"):
        table_of(nucleo.model_copy(update={"virtual": {**nucleo.virtual, "boot": -1}}))


@pytest.fixture(scope="module")
def echo(build):
    return build(START, USART + ECHO)


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=1, max_size=300))
def test_what_goes_in_comes_out(open_link, echo, data):
    with ExitStack() as stack:
        link = open_link(stack, echo)
        assert read_all(link, 1) == b"!"
        link.write(data)
        assert read_all(link, len(data)) == bytes(byte ^ 1 for byte in data)


def test_the_same_conversation_costs_the_same_instructions(open_link, echo):
    profiles = []
    for _ in range(2):
        with ExitStack() as stack:
            link = open_link(stack, echo)
            read_all(link, 1)
            link.reset_profile()
            link.write(b"twice")
            read_all(link, 5)
            profiles.append(link.profile())
    assert profiles[0] == profiles[1]
    assert sum(profiles[0].functions.values()) == profiles[0].instructions > 0


def test_it_counts_instructions_and_says_what_with(open_link, echo):
    with ExitStack() as stack:
        link = open_link(stack, echo)
        assert isinstance(link, CountsInstructions)
        assert link.simulator.startswith("unicorn 2.")


def test_firmware_that_waits_for_input_does_not_cost_the_time_it_is_given(link_to):
    link = link_to(ECHO)
    read_all(link, 1)
    started = time.process_time()
    with pytest.raises(LinkTimeout):
        link.read(60)
    assert time.process_time() - started < 30


def test_firmware_that_sleeps_for_good_is_noticed_at_once(link_to):
    link = link_to('void program(void) { for (;;) __asm volatile("wfi"); }')
    with pytest.raises(LinkTimeout, match="sleeps"):
        link.read(3600)


def test_firmware_that_never_ends_meets_its_deadline(link_to):
    link = link_to("volatile uint32_t n; void program(void) { for (;;) n++; }")
    with pytest.raises(LinkTimeout, match=r"nothing within `0\.2` s"):
        link.read(0.2)


def test_a_firmwares_own_time_out_passes_while_it_waits(link_to):
    """It gives up on its receiver after a second of cycles, which nobody waits for."""
    link = link_to("""
void program(void) {
    open_usart();
    REG(0xE000EDFC) |= 1u << 24;
    REG(0xE0001FB0) = 0xC5ACCE55;
    REG(0xE0001000) |= 1;
    uint32_t start = REG(0xE0001004);
    while (get() < 0)
        if (REG(0xE0001004) - start > 16000000u) { put('t'); for (;;) (void)get(); }
    put('c');
    for (;;) (void)get();
}
""")
    assert link.read(10) == b"t"


def test_lockup_names_the_function_and_the_reason(link_to):
    link = link_to(
        "__attribute__((noinline)) void culprit(void) { *(volatile uint32_t *)0x60000000u = 1; }"
        " void program(void) { culprit(); }",
        START + "function hard_fault\n  udf #0\n",
    )
    with pytest.raises(FirmwareFault, match="locked up") as caught:
        link.read(10)
    notes = " ".join(caught.value.__notes__)
    assert "culprit+0x" in notes  # where it began, not where the handler failed
    assert "UNDEFINSTR" in notes
    assert "0x60000000" in notes


def test_a_fault_without_a_handler_names_the_line_and_the_address(link_to):
    link = link_to(
        "__attribute__((noinline)) void culprit(void) { *(volatile uint32_t *)0x60000010u = 1; }"
        " void program(void) { culprit(); }"
    )
    with pytest.raises(FirmwareFault, match="hangs in its fault handler") as caught:
        link.read(10)
    notes = " ".join(caught.value.__notes__)
    assert "culprit+0x" in notes
    assert "rest.c:" in notes
    assert "0x60000010" in notes


def test_a_fault_that_the_firmware_reports_itself_is_not_reported_twice(link_to):
    link = link_to(
        "void report(void) { put('f'); } void program(void) { open_usart(); __asm volatile(\"udf #0\"); }",
        START + "function hard_fault\n  bl report\n  b hang\n",
    )
    assert link.read(10) == b"f"
    with pytest.raises(LinkTimeout):
        link.read(0.2)


def test_what_silicon_forbids_is_a_fault_of_the_firmware(link_to):
    link = link_to("""
__attribute__((noinline)) void too_fast(void) { REG(0x40023808) = 1; }
void program(void) {
    REG(0x40023C00) = 0;
    REG(0x40023800) |= 1u << 18;
    REG(0x40023800) |= 1u << 16;
    while (!(REG(0x40023800) & 1u << 17)) {}
    REG(0x40023804) = 8 | 432 << 6 | 1 << 22 | 9 << 24;
    REG(0x40023800) |= 1u << 24;
    while (!(REG(0x40023800) & 1u << 25)) {}
    REG(0x40023808) = 2;
    for (;;) {}
}
""")
    with pytest.raises(FirmwareFault, match="without overdrive allows 180 MHz") as caught:
        link.read(10)
    assert any("program+0x" in note for note in caught.value.__notes__)


def test_an_image_outside_the_flash_is_not_loaded(build, nucleo, nucleo_table):
    """Flash that lies elsewhere than the image was linked for."""
    regions = (
        region.model_copy(update={"origin": 0x0C000000}) if region.kind == "flash" else region
        for region in nucleo.regions
    )
    target = nucleo.model_copy(update={"regions": tuple(regions)})
    table = nucleo_table.model_copy(update={"memories": ()})
    board = Board(target, table, make_hook())
    with closing(board), pytest.raises(LoadError, match="0x08000000"):
        board.load(build("function reset\n b reset").elf)


def test_what_is_not_an_elf_is_not_loaded(start, build, tmp_path):
    board = start(build("function reset\n b reset"))
    (tmp_path / "image.elf").write_bytes(b"not an image")
    with pytest.raises(LoadError, match="cannot be read"):
        board.load(tmp_path / "image.elf")


def test_a_closed_link_is_closed(open_link, echo):
    with ExitStack() as stack:
        link = open_link(stack, echo)
    with pytest.raises(LinkClosed):
        link.read(1)
    with pytest.raises(LinkClosed):
        link.write(b"x")
    link.close()


def test_ctrl_c_leaves_nothing_running(open_link, build):
    """The interrupt arrives where a slice ends; the board is freed all the same."""
    firmware = build(START, "volatile uint32_t n; void program(void) { for (;;) n++; }")
    with ExitStack() as stack:
        link = open_link(stack, firmware)
        threading.Timer(0.1, signal.raise_signal, (signal.SIGINT,)).start()
        with pytest.raises(KeyboardInterrupt):
            link.read(60)
    with pytest.raises(LinkClosed):
        link.read(1)
