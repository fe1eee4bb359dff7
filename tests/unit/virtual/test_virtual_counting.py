"""Instructions are counted exactly, whatever the slices, by either hook, and go to the right function."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_adapters.virtual import thumb
from device_adapters.virtual.board import make_hook
from device_adapters.virtual.core import Stop
from device_adapters.virtual.profile import OUTSIDE, Edge
from device_adapters.virtual.profile_native import NativeHook
from device_adapters.virtual.profile_python import PythonHook
from tinybench.target import Core, Invocation

PLENTY = 10**9

LOOP = """
function reset
  movs r0, #0          @ 1
  movs r1, #100        @ 1
again:
  adds r0, r0, r1      @ 100 times: 3
  subs r1, r1, #1
  bne again
  b done               @ 1
function done
  b done
"""

# The condition is false three times out of four; the conditioned instructions take their cycle all the same.
CONDITIONAL = """
function reset
  movs r0, #0          @ 1
  movs r1, #4          @ 1
again:
  cmp r1, #2           @ 4 times: 7
  itte eq
  addeq r0, r0, #5
  addeq r0, r0, #7
  movne r2, #1
  subs r1, r1, #1
  bne again
  b done               @ 1
function done
  b done
"""

SORT = """
volatile uint32_t result;
static uint32_t values[64];
static uint32_t next(uint32_t seed) { return seed * 1664525u + 1013904223u; }
__attribute__((noinline)) static void sort(void) {
    for (int i = 0; i < 64; i++)
        for (int j = 0; j + 1 < 64 - i; j++)
            if (values[j] > values[j + 1]) {
                uint32_t kept = values[j];
                values[j] = values[j + 1];
                values[j + 1] = kept;
            }
}
__attribute__((noinline)) static uint32_t sum(void) {
    uint32_t total = 0;
    for (int i = 0; i < 64; i++)
        total = total * 31u + values[i];
    return total;
}
void program(void) {
    uint32_t seed = 1;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 64; i++)
            values[i] = seed = next(seed);
        sort();
        result += sum();
    }
}
"""
CALL_PROGRAM = """
function reset
  bl program
  b done
function done
  b done
"""


def run_to(board, address, slice_instructions=PLENTY):
    board.core.break_at(frozenset({address}))
    stop = Stop.BUDGET
    while stop is Stop.BUDGET:
        stop = board.run(slice_instructions)
    assert stop is Stop.BREAKPOINT
    return board.core.executed


def test_a_loop_has_the_count_that_is_on_paper(build, start):
    firmware = build(LOOP)
    board = start(firmware)

    assert run_to(board, firmware.address("done")) == 2 + 3 * 100 + 1
    assert board.core.registers.read("r0") == 5050


def test_conditioned_instructions_count_whether_they_act_or_not(build, start):
    firmware = build(CONDITIONAL)
    board = start(firmware)

    assert run_to(board, firmware.address("done")) == 2 + 7 * 4 + 1
    assert board.core.registers.read("r0") == 12


@pytest.mark.parametrize("source", [LOOP, CONDITIONAL])
def test_stepping_counts_what_running_counts(build, start, source):
    firmware = build(source)
    board = start(firmware)
    done = firmware.address("done")
    while board.core.registers.pc != done:
        board.core.step()

    assert board.core.executed == board.profile().by_function(firmware.symbols).instructions
    assert board.core.executed == run_to(start(firmware), done)


def test_the_count_equals_that_of_an_instruction_hook(build, start):
    """A Cortex-M0 has no IT blocks, so that Unicorn's own hook sees every instruction."""
    core = Core(name="cortex-m0")
    firmware = build(CALL_PROGRAM, SORT, core)
    board = start(firmware, core=core)
    counted = run_to(board, firmware.address("done"))

    assert counted == unicorn_count(firmware, board)
    assert counted > 50_000


def unicorn_count(firmware, board):
    import unicorn
    from unicorn import arm_const

    uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
    uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M0)
    uc.mem_map(0x08000000, 1 << 20)
    uc.mem_map(0x20000000, 1 << 20)
    uc.mem_write(0x08000000, board.core.space.read(0x08000000, 1 << 16))
    uc.reg_write(arm_const.UC_ARM_REG_SP, 0x20010000)
    seen = [0]
    uc.hook_add(unicorn.UC_HOOK_CODE, lambda *_: seen.__setitem__(0, seen[0] + 1))
    uc.emu_start(firmware.address("reset") | 1, firmware.address("done"))
    return seen[0]


@pytest.fixture(scope="module")
def sorting(build):
    return build(CALL_PROGRAM, SORT)


def edges_of(board) -> tuple[Edge, ...]:
    return board.profile().edges


def test_twice_the_same_run_gives_the_same_edges(sorting, start):
    first, second = start(sorting), start(sorting)
    done = sorting.address("done")

    assert run_to(first, done) == run_to(second, done)
    assert edges_of(first) == edges_of(second)


def test_the_slow_hook_gives_the_numbers_of_the_fast_one(sorting, start):
    fast, slow = start(sorting), start(sorting, hook=PythonHook())
    assert isinstance(fast._hook, NativeHook)
    done = sorting.address("done")

    assert run_to(fast, done) == run_to(slow, done)
    assert edges_of(fast) == edges_of(slow)


@settings(max_examples=12, deadline=None)
@given(slices=st.integers(1, 5000))
def test_slices_change_nothing(sorting, nucleo, nucleo_table, slices):
    from device_adapters.virtual.board import power_on

    results = []
    for instructions in (PLENTY, slices):
        board, _ = power_on(nucleo, nucleo_table, sorting.elf, make_hook())
        results.append((run_to(board, sorting.address("done"), instructions), edges_of(board)))
        board.close()
    assert results[0] == results[1]


def test_a_budget_stops_before_a_block_and_not_in_it(sorting, start):
    board = start(sorting)
    before = 0
    for _ in range(200):
        assert board.run(1) is Stop.BUDGET
        assert board.core.executed > before
        before = board.core.executed
    assert edges_of(board)[0].runs > 0


def test_edges_chain(sorting, start):
    """What leaves a block has entered it, but for the first and the last."""
    board = start(sorting)
    run_to(board, sorting.address("done"))
    entered, left = {}, {}
    for edge in edges_of(board):
        entered[edge.to] = entered.get(edge.to, 0) + edge.runs
        left[edge.source] = left.get(edge.source, 0) + edge.runs
    off = [block for block in entered | left if entered.get(block, 0) != left.get(block, 0)]

    assert len(off) == 2


def test_more_blocks_than_the_tables_begin_with(build, start):
    """20,000 blocks of two instructions each: the tables grow several times and lose nothing."""
    jumps = "\n".join(f"  nop\n  b.n L{i}\nL{i}:" for i in range(20_000))
    firmware = build(f"function reset\n{jumps}\n  b done\nfunction done\n  b done")
    board = start(firmware)

    assert run_to(board, firmware.address("done")) == 2 * 20_000 + 1
    assert board.profile().by_function(firmware.symbols).functions == {"reset": 2 * 20_000 + 1}


NESTED = """
function reset
  movs r4, #3
again:
  bl tb_engine_invoke
  subs r4, r4, #1
  bne again
  b done
function done
  b done
function tb_engine_invoke
  push {r4, lr}          @ 1
  bl tb_op_000           @ 1
  nop                    @ 1
  bl tb_op_001           @ 1
  pop {r4, pc}           @ 1
function tb_op_000
  push {r4, lr}          @ 1
  bl shared              @ 1
  pop {r4, pc}           @ 1
function tb_op_001
  nop                    @ 1
  b.w tb_op_002_tail     @ 1: a tail call into another operator
function tb_op_002_tail
  movs r0, #4            @ 1
  b shared               @ 1: and one into a shared function
function shared
  movs r1, #2            @ 1
loop:
  subs r1, r1, #1        @ 2 times: 2
  bne loop
  bx lr                  @ 1
"""


@pytest.mark.parametrize("hook", [make_hook, PythonHook])
def test_calls_tail_calls_and_operators(build, start, hook):
    firmware = build(NESTED)
    board = start(firmware, hook=hook())
    run_to(board, firmware.address("done"))
    profile = board.profile().by_function(firmware.symbols)
    shared, invoke, op0, op1, op2 = 6, 5, 3, 2, 2

    assert profile.functions["shared"] == 3 * 2 * shared
    assert profile.functions["tb_engine_invoke"] == 3 * invoke
    assert profile.operators == {0: 3 * (op0 + shared), 1: 3 * op1, 2: 3 * (op2 + shared)}
    once = (
        Invocation("tb_op_000", op0 + shared),
        Invocation("tb_op_002_tail", op2 + shared),
        Invocation("tb_op_001", op1 + op2 + shared),
        Invocation("tb_engine_invoke", invoke + op0 + op1 + op2 + 2 * shared),
    )
    assert profile.invocations == once * 3
    assert sum(profile.inference.values()) == 3 * once[-1].instructions
    assert "reset" not in profile.inference


def test_a_loop_back_to_a_functions_first_instruction_is_not_a_call(build, start):
    firmware = build("""
function reset
  movs r0, #5
  bl tb_op_007
  b done
function done
  b done
function tb_op_007
  subs r0, r0, #1
  bne tb_op_007
  bx lr
""")
    board = start(firmware)
    run_to(board, firmware.address("done"))
    profile = board.profile().by_function(firmware.symbols)

    assert profile.invocations == (Invocation("tb_op_007", 11),)
    assert profile.operators == {7: 11}


def test_resetting_a_profile_keeps_the_function_that_is_being_executed(build, start):
    firmware = build(NESTED)
    board = start(firmware)
    run_to(board, firmware.address("shared"))
    board.reset_profile()
    run_to(board, firmware.address("tb_op_001"))
    profile = board.profile()

    assert {edge.operator for edge in profile.edges} == {0, -2}
    assert OUTSIDE not in {edge.operator for edge in profile.edges}


def test_code_that_is_written_to_ram_is_run_as_it_was_last_written(build, start):
    """Two functions, one after the other at one address: the translator must not run the first twice."""
    firmware = build("""
function reset
  ldr r4, =0x20010000
  ldr r0, =0x20012001      @ movs r0, #1 ; adds r0, #... see below
  movw r1, #0x2011         @ movs r0, #17
  strh r1, [r4]
  movw r2, #0x4770         @ bx lr
  strh r2, [r4, #2]
  adds r5, r4, #1
  blx r5
  mov r6, r0
  movw r1, #0x2022         @ movs r0, #34
  strh r1, [r4]
  blx r5
  mov r7, r0
  b done
function done
  b done
""")
    board = start(firmware)
    run_to(board, firmware.address("done"))

    assert board.core.registers.read("r6") == 17
    assert board.core.registers.read("r7") == 34
    assert board.profile().by_function(firmware.symbols).functions["?"] == 4


def test_an_it_block_that_touches_a_device_does_not_condition_what_follows(build, start):
    """Unicorn restores IT bits for a hook in the middle of a block; they must not reach the next block."""
    firmware = build("""
function reset
  ldr r0, =0xE000ED00      @ CPUID
  ldr r2, =0x20018000      @ a page that nothing has touched
  movs r1, #1
  cmp r1, #1
  ittt eq
  ldreq r3, [r0]
  ldreq r4, [r2]
  addeq r1, r1, #1
  b next
next:
  cmp r1, #100
  movs r5, #5
  movs r6, #6
  movs r7, #7
  b done
function done
  b done
""")
    for hook in (make_hook(), PythonHook()):
        board = start(firmware, hook=hook)
        run_to(board, firmware.address("done"))
        read = board.core.registers.read

        assert [read(f"r{number}") for number in (1, 3, 5, 6, 7)] == [2, 0x410FC271, 5, 6, 7]


@given(st.binary(max_size=64).map(lambda code: code[: len(code) // 2 * 2]))
def test_every_stretch_of_code_has_a_length(code):
    lengths = [0]
    while lengths[-1] < len(code):
        lengths.append(
            lengths[-1] + thumb.length(int.from_bytes(code[lengths[-1] : lengths[-1] + 2], "little"))
        )

    assert thumb.count(code) == len(lengths) - 1
    assert all(b - a in (2, 4) for a, b in pairwise(lengths))
