"""The core takes exceptions, counts time and refuses instructions as the architecture says."""

from __future__ import annotations

import pytest

from device_adapters.virtual import system_control as sc
from device_adapters.virtual.core import Stop
from tinybench.target import Core

PLENTY = 10**7
DONE = """
function done
  b done
"""


def run_to_done(board, firmware):
    board.core.break_at(frozenset({firmware.address("done")}))
    stop = board.run(PLENTY)
    while stop is Stop.RESET:
        stop = board.run(PLENTY)
    assert stop is Stop.BREAKPOINT, (stop, board.core.last_fault)
    return board.core.registers.read


@pytest.fixture
def run(build, start):
    """run(assembly): to `done`, and then a function that reads registers; `run.board` is the board."""

    def run(assembly, **options):
        firmware = build(assembly + DONE, **options)
        run.board = start(firmware, core=options.get("core"))
        return run_to_done(run.board, firmware)

    return run


@pytest.fixture
def fault_of(build, start):
    """fault_of(assembly): runs into a fault and returns it; `fault_of.firmware` and `.board` are what ran."""

    def fault_of(assembly):
        fault_of.firmware = build(assembly + DONE)
        fault_of.board = start(fault_of.firmware)
        fault_of.board.run(100_000)
        fault = fault_of.board.core.last_fault
        assert fault is not None
        return fault

    return fault_of


# --- exceptions ---


def test_svc_stacks_what_the_architecture_says_and_returns(run):
    read = run("""
function reset
  movs r0, #10
  movs r1, #11
  movs r2, #12
  movs r3, #13
  ldr r12, =0x1212
  cmp r0, r0
  svc #7
after:
  movs r7, #7
  b done
function svc
  mov r4, lr
  mov r5, sp
  mrs r6, ipsr
  ldr r8, [sp, #24]
  ldr r9, [sp, #28]
  movs r0, #99
  bx lr
""")
    assert read("r4") == 0xFFFFFFF9
    assert read("r5") == 0x20010000 - 0x20
    assert read("r6") == sc.SVCALL
    assert run.board.core.space.read(read("r8") - 2, 2) == b"\x07\xdf"
    assert read("r9") & 0xF1000000 == 0x61000000
    assert [read(f"r{number}") for number in (0, 1, 2, 3, 12)] == [10, 11, 12, 13, 0x1212]
    assert (read("r7"), read("sp")) == (7, 0x20010000)


def test_a_misaligned_stack_is_aligned_and_restored(run):
    read = run("""
function reset
  sub sp, #4
  svc #0
  b done
function svc
  mov r5, sp
  bx lr
""")
    assert read("r5") == 0x20010000 - 0x28
    assert read("sp") == 0x20010000 - 4


def test_a_thread_on_the_process_stack(run):
    read = run("""
function reset
  ldr r0, =0x20020000
  msr psp, r0
  movs r0, #2
  msr control, r0
  isb
  push {r0}
  svc #0
  mrs r6, control
  b done
function svc
  mov r4, lr
  mrs r5, psp
  mov r7, sp
  bx lr
""")
    assert read("r4") == 0xFFFFFFFD
    assert read("r5") == 0x20020000 - 8 - 0x20 & ~7
    assert read("r7") == 0x20010000
    assert read("r6") == 2
    assert read("sp") == 0x20020000 - 4


def test_floating_point_registers_survive_an_exception(run):
    read = run("""
function reset
  ldr r0, =0xE000ED88
  ldr r1, [r0]
  orr r1, r1, #0xF00000
  str r1, [r0]
  dsb
  isb
  vmov.f32 s0, #1.0
  vmov.f32 s15, #2.0
  svc #0
  vmov r5, s0
  vmov r6, s15
  b done
function svc
  mov r4, lr
  vmov.f32 s0, #3.0
  vmov.f32 s15, #4.0
  bx lr
""")
    assert read("r4") == 0xFFFFFFE9
    assert (read("r5"), read("r6")) == (0x3F800000, 0x40000000)


def test_a_pended_exception_waits_for_primask_and_comes_right_after(run):
    read = run("""
function reset
  cpsid i
  ldr r0, =0xE000ED04
  mov r1, #0x10000000
  str r1, [r0]
  nop
  movs r2, #1
  b 1f
1:
  mov r3, r4
  cpsie i
  isb
  mov r5, r4
  b done
function pendsv
  adds r4, r4, #1
  mrs r6, ipsr
  bx lr
""")
    assert (read("r3"), read("r5"), read("r6")) == (0, 1, sc.PENDSV)


def test_priorities_nest_and_basepri_holds_back(run):
    """SVC at 0x80 pends a PendSV at 0x40, which preempts it; at 0xC0 it would have waited."""
    program = """
function reset
  ldr r0, =0xE000ED1C
  mov r1, #0x80000000
  str r1, [r0]
  ldr r0, =0xE000ED20
  ldr r1, =0x00{pendsv}0000
  str r1, [r0]
  svc #0
  b done
function svc
  ldr r0, =0xE000ED04
  mov r1, #0x10000000
  str r1, [r0]
  dsb
  isb
  b 1f
1:
  mov r5, r4
  bx lr
function pendsv
  adds r4, r4, #1
  mov r6, lr
  bx lr
"""
    read = run(program.format(pendsv="40"))
    assert (read("r4"), read("r5"), read("r6")) == (1, 1, 0xFFFFFFF1)
    read = run(program.format(pendsv="C0"))
    assert (read("r4"), read("r5"), read("r6")) == (1, 0, 0xFFFFFFF9)


def test_an_interrupt_is_taken_by_number_once_it_is_enabled(run):
    read = run("""
function reset
  ldr r0, =0xE000E204      @ ISPR1: interrupt 39
  movs r1, #0x80
  str r1, [r0]
  nop
  b 1f
1:
  mov r5, r4
  ldr r0, =0xE000E104      @ ISER1
  str r1, [r0]
  dsb
  b 2f
2:
  b done
function usart3
  adds r4, r4, #1
  mrs r6, ipsr
  bx lr
""")
    assert (read("r5"), read("r4"), read("r6")) == (0, 1, 16 + 39)


def test_vtor_moves_the_vectors(run):
    read = run("""
function reset
  ldr r0, =0x20012000
  ldr r1, =other
  str r1, [r0, #44]
  ldr r2, =0xE000ED08
  str r0, [r2]
  svc #0
  b done
function other
  movs r4, #42
  bx lr
""")
    assert read("r4") == 42


def test_a_reset_that_software_asks_for_keeps_ram(run):
    read = run("""
function reset
  ldr r0, =0x20012000
  ldr r1, [r0]
  cmp r1, #1
  beq done
  movs r1, #1
  str r1, [r0]
  ldr r2, =0xE000ED0C
  ldr r3, =0x05FA0004
  str r3, [r2]
  dsb
  b hang
""")
    assert read("r1") == 1
    assert run.board.core.executed > 10


# --- time ---

SYSTICK = """
function reset
  ldr r0, =0xE000E014
  ldr r1, =999
  str r1, [r0]
  movs r1, #0
  str r1, [r0, #4]
  movs r1, #7
  str r1, [r0, #-4]
wait:
  {wait}
  cmp r4, #5
  bne wait
  b done
function systick
  adds r4, r4, #1
  bx lr
"""


def test_systick_interrupts_every_reload_plus_one_instructions(run):
    read = run(SYSTICK.format(wait="nop"))
    assert read("r4") == 5
    assert 5000 <= run.board.core.executed <= 5000 + 40


def test_wfi_sleeps_until_systick(run):
    read = run(SYSTICK.format(wait="wfi"))
    assert read("r4") == 5
    assert run.board.core.executed < 100
    assert 5000 <= run.board.core.time <= 5040


def test_wfi_with_nothing_to_wait_for_says_so(build, start):
    board = start(build("function reset\n  wfi\n  b reset"))
    assert board.run(PLENTY) is Stop.ASLEEP
    assert board.core.executed == 1
    assert board.idle


CYCCNT = """
function reset
  ldr r0, =0xE0001000
  ldr r1, =0xE000EDFC
  ldr r2, ={demcr}
  str r2, [r1]
  ldr r2, ={key}
  ldr r3, =0xE0001FB0
  str r2, [r3]
  movs r2, #{enable}
  str r2, [r0]
  movs r2, #0
  str r2, [r0, #4]
  ldr r4, [r0, #4]
  nop
  nop
  ldr r5, [r0, #4]
  b done
"""


@pytest.mark.parametrize(
    ("demcr", "key", "enable", "counts"),
    [
        ("0x01000000", "0xC5ACCE55", 1, True),
        ("0", "0xC5ACCE55", 1, False),
        ("0x01000000", "0", 1, False),
        ("0x01000000", "0xC5ACCE55", 0, False),
    ],
    ids=["on", "no TRCENA", "locked", "not enabled"],
)
def test_the_cycle_counter_counts_instructions_if_everything_is_on(run, demcr, key, enable, counts):
    read = run(CYCCNT.format(demcr=demcr, key=key, enable=enable))
    assert read("r5") - read("r4") == (3 if counts else 0)


def test_cache_registers_are_those_of_this_chip(run):
    read = run("""
function reset
  ldr r0, =0xE000ED84
  movs r1, #0
  str r1, [r0]
  ldr r2, [r0, #-4]
  movs r1, #1
  str r1, [r0]
  ldr r3, [r0, #-4]
  ldr r0, =0xE000EF50
  str r1, [r0]
  ldr r0, =0xE000ED14
  ldr r4, [r0]
  orr r4, r4, #0x30000
  str r4, [r0]
  ldr r5, [r0]
  b done
""")
    assert (read("r2"), read("r3")) == (0xF003E019, 0xF007E009)
    assert read("r5") & 0x30000 == 0x30000


# --- faults ---


@pytest.mark.parametrize(
    ("instructions", "cfsr", "bfar"),
    [
        ("ldr r0, =0x08001000\n movs r1, #1\n at: str r1, [r0, #4]", 0x8200, 0x08001004),
        ("ldr r0, =0x60000000\n movs r1, #3\n at: ldrb r2, [r0, r1]", 0x8200, 0x60000003),
        ("ldr r0, =0x40010000\n at: ldr r2, [r0, #8]", 0x8200, 0x40010008),
        ("ldr r0, =0x90000010\n at: stmdb r0!, {r1, r2}", 0x8200, 0x90000008),
        ("ldr r0, =0x2005000C\n at: ldrd r2, r3, [r0, #-8]!", 0x8200, 0x20050004),
        ("ldr r0, =0x20050000\n mov sp, r0\n at: pop {r1}", 0x8200, 0x20050000),
    ],
)
def test_an_access_to_nothing_is_a_bus_fault_with_its_address(fault_of, instructions, cfsr, bfar):
    fault = fault_of(f"function reset\n  {instructions}\n  b done")

    assert (fault.cfsr, fault.hfsr, fault.bfar) == (cfsr, 1 << 30, bfar)
    assert fault.exception == sc.HARD_FAULT
    assert fault.pc == code_of(fault_of.firmware, "at")


def code_of(firmware, label):
    from elftools.elf.elffile import ELFFile

    with firmware.elf.open("rb") as stream:
        symbols = ELFFile(stream).get_section_by_name(".symtab").get_symbol_by_name(label)
        return symbols[0]["st_value"] & ~1


def test_flash_is_not_written(fault_of):
    fault_of("function reset\n  ldr r0, =0x08000000\n  str r0, [r0]\n  b done")
    assert fault_of.board.core.space.read_word(0x08000000) == 0x20010000


@pytest.mark.parametrize(
    ("instructions", "cfsr"),
    [
        ("at: udf #0", 1 << 16),
        ("at: vmov.f32 s0, #1.0", 1 << 19),
        ("ldr r0, =0x08000100\n at: bx r0", 1 << 17),
        ("ldr r0, =0x40004801\n at: bx r0", 1 << 0),
        ("ldr r0, =0x60000001\n at: bx r0", 1 << 0),
        ("ldr r0, =0x18000001\n at: bx r0", 1 << 8),
    ],
    ids=["undefined", "FPU is off", "no Thumb bit", "device memory", "never execute", "no memory"],
)
def test_instructions_that_cannot_be_executed(fault_of, instructions, cfsr):
    fault = fault_of(f"function reset\n  {instructions}\n  b done")
    if cfsr == 1 << 0 and "0x60000001" in instructions:
        cfsr = 1 << 8  # external RAM may hold code: it is only not there
    assert (fault.cfsr, fault.hfsr) == (cfsr, 1 << 30)


def test_double_precision_does_not_exist_on_this_chip(fault_of):
    fault = fault_of("""
function reset
  ldr r0, =0xE000ED88
  mov r1, #0xF00000
  str r1, [r0]
  dsb
  isb
  vmov.f32 s0, #1.0
at:
  .inst.w 0xEE300B40      @ vsub.f64 d0, d0, d0
  b done
""")
    assert fault.cfsr == 1 << 16
    assert fault.pc == code_of(fault_of.firmware, "at")


DIVISION = """
function reset
  movs r0, #10
  movs r1, #0
  {trap}
  udiv r3, r0, r0
at:
  sdiv r2, r0, r1
  b done
"""


def test_division_by_zero_gives_zero(run):
    read = run(DIVISION.format(trap=""))
    assert (read("r2"), read("r3")) == (0, 1)


def test_division_by_zero_faults_if_asked_to(fault_of):
    trap = "ldr r4, =0xE000ED14\n ldr r5, [r4]\n orr r5, r5, #16\n str r5, [r4]\n dsb\n b 1f\n1:"
    fault = fault_of(DIVISION.format(trap=trap))

    assert fault.cfsr == 1 << 25
    assert fault.pc == code_of(fault_of.firmware, "at")
    assert fault_of.board.core.registers.read("r3") == 1


def test_a_configurable_fault_goes_to_its_own_handler_if_that_is_enabled(run):
    read = run("""
function reset
  ldr r0, =0xE000ED24
  mov r1, #0x70000
  str r1, [r0]
  dsb
  ldr r2, =0x60000000
  ldr r3, [r2]
  b done
function bus_fault
  mrs r6, ipsr
  ldr r0, [sp, #24]
  adds r0, r0, #2
  str r0, [sp, #24]
  bx lr
""")
    assert read("r6") == sc.BUS_FAULT
    assert run.board.core.last_fault.hfsr == 0


def test_a_fault_in_the_middle_of_a_block_counts_only_what_ran(fault_of):
    fault_of("""
function reset
  nop
  nop
  mov r0, #0x60000000
  ldr r1, [r0]
  nop
  nop
  nop
  b done
""")
    assert fault_of.board.profile().by_function(fault_of.firmware.symbols).functions["reset"] == 3


def test_a_fault_in_the_hardfault_handler_locks_up(build, start):
    board = start(build("function reset\n  udf #0\nfunction hard_fault\n  udf #1"))

    assert board.run(PLENTY) is Stop.LOCKUP
    assert board.run(PLENTY) is Stop.LOCKUP
    assert board.core.last_fault.cfsr == 1 << 16


def test_a_stack_that_runs_out_of_memory_reaches_the_handler_without_a_frame(run):
    read = run("""
function reset
  ldr r0, =0x20000010
  mov sp, r0
again:
  push {r0-r7}
  b again
function hard_fault
  mov r7, sp
  ldr r0, =0xE000ED28
  ldr r6, [r0]
  b done
""")
    assert read("r7") < 0x20000000
    assert read("r6") == 0x8200 | 1 << 12


def test_svc_in_the_hardfault_handler_locks_up(build, start):
    board = start(build("function reset\n  udf #0\nfunction hard_fault\n  svc #0"))
    assert board.run(PLENTY) is Stop.LOCKUP


def test_flash_without_a_vector_table_locks_up(start, build):
    firmware = build("function reset\n b done" + DONE)
    board = start(firmware)
    board.core.space.write(0x08000000, b"\xff" * 1024, rom=True)
    board.reset()

    assert board.run(PLENTY) is Stop.LOCKUP


def test_bkpt_without_a_debugger_is_a_hardfault(fault_of):
    fault = fault_of("function reset\n  bkpt #1\n  b done")
    assert (fault.hfsr, fault.cfsr) == (1 << 31, 0)


# --- for a debugger ---


def test_breakpoints_stop_before_their_instruction_and_stepping_goes_on(build, start):
    firmware = build("function reset\n  movs r0, #1\nat:\n  movs r0, #2\n  movs r0, #3\n  b done" + DONE)
    board = start(firmware)
    board.core.break_at(frozenset({code_of(firmware, "at")}))

    assert board.run(PLENTY) is Stop.BREAKPOINT
    assert board.core.registers.read("r0") == 1
    board.core.step()
    assert board.core.registers.read("r0") == 2
    board.core.break_at(frozenset())
    board.run(10)
    assert board.core.registers.read("r0") == 3


def test_a_caught_exception_stops_at_its_handler(build, start):
    firmware = build("function reset\n  udf #0\nfunction hard_fault\n  b hard_fault")
    board = start(firmware)
    board.core.exceptions.caught = frozenset({sc.HARD_FAULT})

    assert board.run(PLENTY) is Stop.CAUGHT
    assert board.core.registers.pc == firmware.address("hard_fault")
    assert board.run(100) is Stop.BUDGET


def test_code_that_a_debugger_changes_is_run_as_changed(build, start):
    firmware = build("function reset\nat:\n  movs r0, #1\n  b reset")
    board = start(firmware)
    board.run(100)
    board.core.space.write(code_of(firmware, "at"), b"\x07\x20", rom=True)
    board.run(100)

    assert board.core.registers.read("r0") == 7


# --- other cores ---


@pytest.mark.parametrize(
    ("core", "refused"),
    [
        (Core(name="cortex-m0plus"), "sdiv"),
        (Core(name="cortex-m3"), "vmov"),
        (Core(name="cortex-m4", fpu="single", dsp=True), ""),
        (Core(name="cortex-m33", fpu="single", dsp=True), ""),
    ],
    ids=lambda value: value.name if isinstance(value, Core) else "",
)
def test_each_core_has_its_own_instructions(run, core, refused):
    """The instructions are given as numbers, because the assembler would refuse them as well."""
    read = run(
        f"""
function reset
  movs r0, #6
  movs r1, #2
  movs r7, #0
  {"" if refused == "sdiv" else ".inst.w 0xFB90F2F1"}
  movs r4, #1
  bl probe
  b done
function probe
  .inst.w {"0xFB90F3F1" if refused == "sdiv" else "0xEE000A10"}
  movs r4, #2
  b done
function hard_fault
  movs r7, #1
  b done
""",
        core=core,
    )
    if refused != "sdiv":
        assert read("r2") == 3
    assert read("r7") == 1 or core.fpu != "none"


# --- waiting for events ---


WAITING = """
function reset
  ldr r0, =0xE000E010
  movw r1, #999
  str r1, [r0, #4]
  movs r1, #0
  str r1, [r0, #8]
  movs r1, #7
  str r1, [r0]
  movs r4, #0
  {before}
  {wait}
  b done
function systick
  adds r4, r4, #1
  bx lr
"""


def test_wfe_sleeps_until_a_device_changes(run):
    read = run(WAITING.format(before="", wait="wfe"))
    assert read("r4") == 1
    assert run.board.core.executed < 50
    assert 1000 <= run.board.core.time <= 1050


def test_wfe_after_an_event_clears_it_and_goes_on(run):
    """As vendors' HALs sleep: SEV, WFE to clear, WFE to wait."""
    read = run(WAITING.format(before="sev", wait="wfe"))
    assert read("r4") == 0
    assert run.board.core.time < 50
    read = run(WAITING.format(before="sev\n  wfe", wait="wfe"))
    assert read("r4") == 1


def test_an_exception_is_an_event(run):
    read = run(WAITING.format(before="wfe", wait="wfe"))
    assert read("r4") == 1
    assert 1000 <= run.board.core.time <= 1050


@pytest.mark.parametrize("hint", ["wfe", "yield", "sev"])
def test_hints_without_anything_to_wait_for_are_passed_and_counted(run, hint):
    run(f"function reset\n  movs r0, #3\nagain:\n  {hint}\n  subs r0, #1\n  bne again\n  b done\n")
    assert run.board.core.executed == 1 + 3 * 3 + 1
    assert run.board.core.last_fault is None


def test_an_invalid_instruction_behind_a_hint_is_one_still(fault_of):
    fault = fault_of("function reset\n  movs r0, #1\n  wfe\n  udf #1\n  b done")
    assert fault.cfsr == 1 << 16
    assert fault.pc == fault_of.firmware.address("reset") + 4


def test_hints_are_stepped_over(build, start):
    board = start(build("function reset\n  wfe\n  yield\n  nop\n  b reset"))
    first = board.core.registers.pc
    for instructions in (1, 2, 3):
        board.core.step()
        assert board.core.registers.pc == first + 2 * instructions
        assert board.core.executed == instructions
