"""Loops of hand-made counts: an instruction belongs to the shortest loop around it, once."""

from __future__ import annotations

from typing import NamedTuple

from tinybench.elf import Function
from tinybench.profile.loops import Loop, hot_loops
from tinybench.profile.places import spent_at
from tinybench.profile.symbols import Names
from tinybench.timing.program import ImageProgram

START = 0x1000
NOP, ITE_EQ, MOVS, BNE = 0xBF00, 0xBF0C, 0x2001, 0xD1FB


class Block(NamedTuple):
    address: int
    size: int


class Edge(NamedTuple):
    operator: int
    source: Block
    to: Block
    runs: int


def code(*halfwords: int) -> ImageProgram:
    return ImageProgram([(START, b"".join(word.to_bytes(2, "little") for word in halfwords))])


def loops(program: ImageProgram, edges: list[Edge], most: int = 9) -> tuple[Loop, ...]:
    names = Names([Function("convolve", START, START + 16), Function("after", START + 16, START + 32)])
    return hot_loops(edges, spent_at(program, edges, None), names, program, most)


NOTHING = Block(0, 0)
HEAD, BODY, TAIL = Block(START, 4), Block(START + 4, 4), Block(START + 8, 4)
NESTED = [
    Edge(0, NOTHING, HEAD, 1),
    Edge(0, HEAD, BODY, 10),
    Edge(0, BODY, BODY, 90),
    Edge(3, BODY, BODY, 50),
    Edge(0, BODY, TAIL, 10),
    Edge(0, TAIL, HEAD, 9),
]


def test_an_outer_loop_is_what_its_inner_one_is_not() -> None:
    inner, outer = loops(code(*[NOP] * 16), NESTED)
    assert (inner.start, inner.end, inner.iterations, inner.instructions) == (START + 4, START + 8, 150, 300)
    assert (outer.start, outer.end, outer.iterations, outer.instructions) == (START, START + 12, 10, 40)
    assert [line.address - START for line in outer.lines] == [0, 2, 8, 10]
    assert inner.operators == (0, 3)
    assert inner.function == outer.function == "convolve"


def test_only_so_many_are_told() -> None:
    (inner,) = loops(code(*[NOP] * 16), NESTED, most=1)
    assert inner.iterations == 150
    assert loops(code(*[NOP] * 16), NESTED, most=0) == ()


def test_a_call_to_a_lower_address_is_no_loop() -> None:
    caller = Block(START + 16, 4)
    assert loops(code(*[NOP] * 16), [Edge(0, NOTHING, caller, 5), Edge(0, caller, HEAD, 5)]) == ()


def test_instructions_in_an_it_block_show_their_conditions() -> None:
    whole = Block(START, 8)
    (loop,) = loops(code(ITE_EQ, MOVS, MOVS, BNE), [Edge(0, whole, whole, 7)])
    assert [line.text.split()[0] for line in loop.lines] == ["ite", "moveq", "movne", "bne"]
    assert {line.runs for line in loop.lines} == {7}
