"""Instructions as shapes: class, registers by role, widths."""

from __future__ import annotations

import pytest

from tinybench.timing.program import FLAGS, LR, PC, SP, ImageProgram, Shape, mask, shape_of


def regs(*names: str) -> int:
    """The mask of some registers."""
    total = 0
    for name in names:
        total |= mask(name)
    return total


@pytest.mark.parametrize(
    ("mnemonic", "operands", "kind", "reads", "writes"),
    [
        ("adds", "r0, r1, r2", "add", regs("r1", "r2"), regs("r0") | FLAGS),
        ("subs", "r3, #1", "add", regs("r3"), regs("r3") | FLAGS),
        ("movt", "r3, #0x1234", "add", regs("r3"), regs("r3")),
        ("movs", "r3, #1", "add", 0, regs("r3") | FLAGS),
        ("ands", "r0, r1", "logic", regs("r0", "r1"), regs("r0") | FLAGS),
        ("cmp", "r0, r1", "logic", regs("r0", "r1"), FLAGS),
        ("lsls", "r0, r1, #3", "shift", regs("r1"), regs("r0") | FLAGS),
        ("ubfx", "r0, r1, #2, #4", "bits", regs("r1"), regs("r0")),
        ("bfi", "r0, r1, #2, #4", "bits", regs("r0", "r1"), regs("r0")),
        ("sxtab16", "r0, r1, r2, ror #8", "dsp", regs("r1", "r2"), regs("r0")),
        ("mls", "r4, r5, r1, r2", "mac", regs("r5", "r1", "r2"), regs("r4")),
        ("smlal", "ip, fp, r3, r0", "mac-long", regs("ip", "fp", "r3", "r0"), regs("ip", "fp")),
        ("umull", "r0, r1, r2, r3", "mul-long", regs("r2", "r3"), regs("r0", "r1")),
        ("bls", "#0x1000", "branch", FLAGS, PC),
        ("bl", "#0x1000", "call", 0, PC | LR),
        ("bx", "lr", "branch-register", LR, PC),
        ("cbz", "r4, #0x1000", "branch", regs("r4"), PC),
        ("push", "{r3, lr}", "store-many", regs("r3") | SP | LR, SP),
        ("pop", "{r3, pc}", "load-many", SP, regs("r3") | SP | PC),
        ("ldm", "r4!, {r0, r2}", "load-many", regs("r4"), regs("r0", "r2", "r4")),
        ("vfma.f32", "s0, s1, s2", "fp-fma", regs("s0", "s1", "s2"), regs("s0")),
        ("vmov", "r0, r1, d0", "fp-move", regs("d0"), regs("r0", "r1")),
        ("vldr", "s16, [sp, #12]", "fp-load", SP, regs("s16")),
        ("dsb", "sy", "barrier", 0, 0),
        ("addeq", "r0, r1", "add", regs("r0", "r1"), regs("r0")),
    ],
)
def test_registers_and_class(mnemonic: str, operands: str, kind: str, reads: int, writes: int) -> None:
    shape = shape_of(mnemonic, operands, 4)
    assert (shape.kind, shape.reads, shape.writes) == (kind, reads, writes)


def test_an_address_is_told_from_what_is_stored() -> None:
    store = shape_of("strb", "r0, [r4, r3]", 2)
    assert (store.addressing, store.stored) == (regs("r4", "r3"), regs("r0"))
    assert (store.access_bytes, store.transfers, store.register_offset) == (1, 1, True)
    pair = shape_of("ldrd", "r1, r2, [r3, #4]", 4)
    assert (pair.access_bytes, pair.transfers, pair.addressing) == (4, 2, regs("r3"))


@pytest.mark.parametrize("address", ["[r1], #4", "[r1, #4]!"])
def test_a_base_that_is_written_back_is_written(address: str) -> None:
    load = shape_of("ldr", f"r3, {address}", 4)
    assert load.writeback
    assert load.writes == regs("r1", "r3")


def test_accumulators_and_shifted_operands_have_their_places() -> None:
    assert shape_of("smlad", "r4, r5, r6, r7", 4).accumulates == regs("r7")
    shifted = shape_of("add", "r3, r4, r5, ror #24", 4)
    assert (shifted.shifted, shifted.early) == (True, regs("r5"))
    assert not shape_of("lsr", "r3, r4, #24", 4).shifted


def test_words_behind_an_it_are_conditional_and_literals_are_found() -> None:
    """IT EQ; MOVEQ R0, R1; LDR R2, [PC, #4] at 0x08000004; NOP."""
    code = bytes.fromhex("08bf 0846 014a 00bf")
    program = ImageProgram([(0x08000000, code)])
    it, mov, load, nop = program.block(0x08000000, 8)
    assert [i.shape.kind for i in (it, mov, load, nop)] == ["it", "add", "load", "nop"]
    assert mov.shape.conditional
    assert mov.shape.reads & FLAGS
    assert load.literal == 0x0800000C
    assert not load.shape.conditional


def test_code_that_is_not_in_the_image_has_no_instructions() -> None:
    program = ImageProgram([(0x08000000, b"\x00\xbf")])
    assert program.block(0x20000000, 8) == ()
    assert program.block(0x08000000, 2)[0].shape == Shape("nop", 2)


def test_anything_unknown_is_a_system_instruction() -> None:
    assert shape_of("cdp2", "p0, #1, c2, c3, c4, #5", 4).kind == "system"
