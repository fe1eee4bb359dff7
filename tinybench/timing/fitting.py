"""Constants of memory models that no document states and published rows decide; each without a row, too.

A fitted constant is the whole number of cycles with the least sum of relative errors, without sign, over its
rows: squares would let the one row that is off for another reason decide. A row's leave-one-out error is its
error with the constant found from the other rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tinybench.timing.memory import ChipMemory, Sourced, chips

_MOST_CYCLES = 20


class FittedConstant(NamedTuple):
    """A constant of a chip's description, the rows it was found from, and what it is in the description."""

    chip: str
    name: str
    cycles: float
    rows: tuple[str, ...]


RelativeError = Callable[[str, ChipMemory], float]
"""How far the estimate of a row is from what was published if its chip were described so; relative."""


def fitted_constants() -> tuple[FittedConstant, ...]:
    """Every fitted constant of every chip, one for all chips that share its rows."""
    found: dict[tuple[str, tuple[str, ...]], FittedConstant] = {}
    for chip in chips().values():
        for name, number in chip.numbers().items():
            if number.fitted_on:
                key = name, number.fitted_on
                title = f"{found[key].chip}, {chip.name}" if key in found else chip.name
                found[key] = FittedConstant(title, name, number.value, number.fitted_on)
    return tuple(found.values())


def fitted(chip: ChipMemory, name: str, rows: Iterable[str], error: RelativeError) -> float:
    """The whole cycles that suit these rows best."""
    rows = tuple(rows)

    def badness(cycles: float) -> float:
        changed = with_cycles(chip, name, cycles)
        return sum(abs(error(row, changed)) for row in rows)

    return min((float(cycles) for cycles in range(_MOST_CYCLES + 1)), key=badness)


def leave_one_out(row: str, chip: ChipMemory, error: RelativeError) -> float:
    """The error of a row with each constant that it helped to find found from the others."""
    for name, number in chip.numbers().items():
        if row in number.fitted_on:
            others = [other for other in number.fitted_on if other != row]
            chip = with_cycles(chip, name, fitted(chip, name, others, error))
    return error(row, chip)


def with_cycles(chip: ChipMemory, name: str, cycles: float) -> ChipMemory:
    """The chip with one number changed, named as `ChipMemory.numbers` does."""
    memory_name, _, key = name.partition(".")

    def changed(number: Sourced) -> Sourced:
        return number.model_copy(update={"value": cycles})

    memories = tuple(
        memory.model_copy(update={key: changed(getattr(memory, key))})
        if memory.name == memory_name
        else memory
        for memory in chip.memories
    )
    return chip.model_copy(update={"memories": memories})
