"""A profile as lines and tables for a terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tinybench.profile.flame import label, title
from tinybench.profile.loops import Loop
from tinybench.profile.profile import Profile
from tinybench.units import brief, show, show_change

_Rows = list[tuple[str, ...]]
_MOST_FUNCTIONS = 12
_MOST_REASONS = 3
_MOST_LINES = 24
_WORTH_SAYING = 0.01
_WORTH_SAYING_EACH = 0.05


def summary(profile: Profile) -> Iterator[str]:
    """What was profiled, the whole, and how sure the parts are."""
    whole = profile.whole
    yield f"{title(profile)} ({profile.device}), input {profile.input}"
    if whole.instructions is not None:
        yield f"one inference: {show(whole.instructions, '1')} instructions (counted)"
    if whole.cycles is not None:
        latency = brief(whole.cycles / profile.clock_hz, "s")
        yield f"one inference: {show(round(whole.cycles), '1')} cycles, {latency} ({_kind(profile)})"
    if whole.reasons:
        yield f"of these: {waits(whole.reasons, most=len(whole.reasons))}"
    if profile.operators:
        yield f"the operators' sum is off the whole by {show(whole.sum_error, '%')}"
    if whole.probe_effect is not None:
        yield f"the instrumented image takes {show_change(whole.probe_effect)} (probe effect)"
    for note in profile.notes:
        yield f"note: {note}"


def _kind(profile: Profile) -> str:
    whole = profile.whole
    if whole.kind != "estimated":
        return str(whole.kind)
    error = "not validated" if whole.error is None else f"±{show(whole.error, '%')}"
    return f"estimated, {error}, {whole.models}"


def operators(profile: Profile) -> tuple[tuple[str, ...], _Rows]:
    """Head and rows: one for each operator, and the rest."""
    whole = profile.whole
    head = (
        "#",
        "operator",
        "MACs",
        "instructions",
        "cycles",
        "share",
        "MACs/cycle",
        "of roof",
        "instrumented",
        "cycles pass for",
    )
    rows = []
    for operator in profile.operators:
        part = _share(operator.cycles, whole.cycles) or _share(operator.instructions, whole.instructions)
        rows.append(
            (
                "" if operator.index is None else str(operator.index),
                operator.name,
                _count(operator.macs),
                _count(operator.instructions),
                _count(operator.cycles),
                part,
                "" if operator.macs_per_cycle is None else f"{operator.macs_per_cycle:.3f}",
                "" if operator.of_roof is None else f"{operator.of_roof:.1%}",
                _count(operator.instrumented),
                waits(operator.reasons),
            )
        )
    return _without_empty(head, rows)


def roof(profile: Profile) -> str:
    """The roof in a sentence; empty where there is none."""
    found = profile.roof
    if found is None:
        return ""
    return f"roof: {found.macs_per_cycle:g} MACs a cycle, {found.code}: {found.source}"


def functions(profile: Profile) -> tuple[tuple[str, ...], _Rows]:
    """Head and rows: the functions that cost most, each with the operators that it runs in."""
    instructions: defaultdict[str, int] = defaultdict(int)
    cycles: defaultdict[str, float] = defaultdict(float)
    inside: defaultdict[str, set[int]] = defaultdict(set)
    for part in profile.functions:
        instructions[part.name] += part.instructions
        cycles[part.name] += part.cycles or 0.0
        inside[part.name] |= set() if part.operator is None else {part.operator}
    whole = profile.whole
    names = sorted(instructions, key=lambda name: (-cycles[name], -instructions[name], name))
    rows = [
        (
            name,
            _count(instructions[name]),
            _count(cycles[name]) if whole.cycles is not None else "",
            _share(cycles[name], whole.cycles) or _share(instructions[name], whole.instructions),
            f"{cycles[name] / instructions[name]:.2f}" if whole.cycles is not None else "",
            ", ".join(map(str, sorted(inside[name]))),
        )
        for name in names[:_MOST_FUNCTIONS]
    ]
    return _without_empty(
        ("function", "instructions", "cycles", "share", "cycles each", "in operators"), rows
    )


def loop_title(profile: Profile, loop: Loop) -> str:
    """`tb_conv 0x08001200 to 0x08001240 in 003 CONV_2D: 41 % of the cycles, 1,200 times, …`."""
    names = {operator.index: label(operator.index, operator.name) for operator in profile.operators}
    inside = ", ".join(names.get(index, str(index)) for index in loop.operators)
    cycles = sum(loop.reasons.values())
    part = _share(cycles, profile.whole.cycles) or _share(loop.instructions, profile.whole.instructions)
    what = "cycles" if profile.whole.cycles is not None else "instructions"
    each = (cycles or loop.instructions) / max(1, loop.iterations)
    text = f"{loop.function} {loop.start:#010x} to {loop.end:#010x}{f' in {inside}' if inside else ''}"
    text += f": {part} of the {what}, {show(loop.iterations, '1')} times, {each:.1f} {what} each"
    return text + (f": {waits(loop.reasons, most=len(loop.reasons))}" if loop.reasons else "")


def loop_lines(loop: Loop) -> tuple[tuple[str, ...], _Rows]:
    """Head and rows: each instruction with its executions and cycles; of a long loop the dearest ones."""
    rows = []
    timed = bool(loop.reasons)
    costs = {line.address: sum(line.reasons.values()) if timed else line.runs for line in loop.lines}
    shown = sorted(loop.lines, key=lambda line: (-costs[line.address], line.address))[:_MOST_LINES]
    for line in sorted(shown, key=lambda line: line.address):
        beside = {why: spent / line.runs for why, spent in line.reasons.items() if why != "issue"}
        rows.append(
            (
                f"{line.address:#010x}",
                show(line.runs, "1"),
                f"{costs[line.address] / line.runs:.2f}" if timed else "",
                line.text,
                ", ".join(
                    f"{why} {each:.2f}" for why, each in _largest(beside) if each >= _WORTH_SAYING_EACH
                ),
            )
        )
    return _without_empty(("address", "runs", "cycles each", "instruction", "waits for"), rows)


def left_out(loop: Loop) -> str:
    """How many instructions of a long loop are not shown; empty if all are."""
    more = len(loop.lines) - _MOST_LINES
    return f"and {more} cheaper instructions" if more > 0 else ""


def waits(reasons: Mapping[str, float], most: int = _MOST_REASONS) -> str:
    """`issue 71 %, load 12 %, flash code 9 %`."""
    total = sum(reasons.values())
    found = _largest(reasons, most)
    return ", ".join(f"{why} {spent / total:.0%}" for why, spent in found if spent / total >= _WORTH_SAYING)


def _largest(reasons: Mapping[str, float], most: int = _MOST_REASONS) -> list[tuple[str, float]]:
    return sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:most]


def _count(value: float | None) -> str:
    return "" if value is None else show(round(value), "1")


def _share(part: float | None, whole: float | None) -> str:
    return "" if part is None or not whole else f"{part / whole:.1%}"


def _without_empty(head: Sequence[str], rows: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], _Rows]:
    """Columns that have anything in them."""
    rows = list(rows)
    kept = [index for index in range(len(head)) if any(row[index] for row in rows)]
    return tuple(head[i] for i in kept), [tuple(row[i] for i in kept) for row in rows]
