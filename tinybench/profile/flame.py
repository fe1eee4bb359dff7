"""Profiles in the forms that flame-graph viewers read: speedscope's JSON, and folded stacks.

Speedscope: its file-format-spec.ts, a `sampled` profile, each stack once with its weight. Folded stacks:
`frame;frame count` a line (flamegraph.pl, inferno, and speedscope too). A stack is operator, then function:
who called whom below that was not recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tinybench import __version__
from tinybench.profile.profile import BETWEEN, FunctionShare, Profile

SCHEMA = "https://www.speedscope.app/file-format-schema.json"
_Stack = tuple[str, ...]


def speedscope(profiles: Sequence[Profile]) -> dict[str, Any]:
    """One document; for each profile its instructions and its cycles, as far as they are known."""
    frames: dict[str, int] = {}
    sampled = [
        _sampled(f"{title(profile)}: {unit}", stacks, frames)
        for profile in profiles
        for unit in ("cycles", "instructions")
        if (stacks := _stacks(profile, unit))
    ]
    return {
        "$schema": SCHEMA,
        "shared": {"frames": [{"name": name} for name in frames]},
        "profiles": sampled,
        "name": ", ".join(title(profile) for profile in profiles),
        "activeProfileIndex": 0,
        "exporter": f"tinybench@{__version__}",
    }


def folded(profiles: Sequence[Profile]) -> str:
    """One line a stack: cycles if they are known, else instructions. Several profiles get a first frame."""
    lines = []
    for profile in profiles:
        stacks = _stacks(profile, "cycles") or _stacks(profile, "instructions")
        first: _Stack = (title(profile),) if len(profiles) > 1 else ()
        lines += [f"{';'.join((*first, *stack))} {weight}" for stack, weight in stacks]
    return "".join(line + "\n" for line in lines)


def title(profile: Profile) -> str:
    """`kws01 with reference on nucleo-f746`."""
    return f"{profile.workload} with {profile.engine} on {profile.target}"


def _sampled(name: str, stacks: Sequence[tuple[_Stack, int]], frames: dict[str, int]) -> dict[str, Any]:
    weights = [weight for _, weight in stacks]
    return {
        "type": "sampled",
        "name": name,
        "unit": "none",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": [[frames.setdefault(frame, len(frames)) for frame in stack] for stack, _ in stacks],
        "weights": weights,
    }


def _stacks(profile: Profile, unit: str) -> list[tuple[_Stack, int]]:
    """Stacks in the order of the operators, their most expensive function first."""
    labels = {operator.index: label(operator.index, operator.name) for operator in profile.operators}
    if (profile.functions and any(f.operator is not None for f in profile.functions)) or not labels:
        found: Iterable[tuple[_Stack, float | None]] = (
            ((labels.get(function.operator, BETWEEN), _plain(function.name)), _weight(function, unit))
            for function in sorted(profile.functions, key=lambda f: (f.operator is None, f.operator or 0))
        )
    else:
        found = (
            ((labels[o.index],), o.cycles if unit == "cycles" else o.instructions) for o in profile.operators
        )
    return [(stack, round(weight)) for stack, weight in found if weight and round(weight)]


def _weight(function: FunctionShare, unit: str) -> float | None:
    return function.cycles if unit == "cycles" else function.instructions


def label(index: int | None, name: str) -> str:
    """`003 CONV_2D`."""
    return name if index is None else f"{index:03d} {_plain(name)}"


def _plain(name: str) -> str:
    """Without what separates frames and counts in folded stacks."""
    return name.replace(";", ",")
