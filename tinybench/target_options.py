"""`--target-option KEY=VALUE`: settings of a board that a user may turn, declared in the board's TOML.

A knob changes what the board's C does (macros) together with what the target promises (clock, wait states,
placement), so that the same image sets on a real board what is estimated for it. What is not at its default
is part of the question that a Case asks; what concerns caches is a Condition as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from tinybench.errors import UsageError, did_you_mean
from tinybench.plugins import Catalogue, Found
from tinybench.target import Choice, FirmwareParts, Region, Target


def applied(catalogue: Catalogue, words: Sequence[str]) -> Catalogue:
    """The catalogue, its targets with the options of `words`: `TARGET.key=value`, or `key=value` for all.

    Without a target, every target that can set it does; `refuse_without` speaks of the others. Raises
    UsageError for a word of another form, an unknown target, knob or value.
    """
    if not words:
        return catalogue
    general: dict[str, str] = {}
    special: dict[str, dict[str, str]] = {}
    for word in words:
        name, key, value = _parsed(word)
        if name is None:
            general[key] = value
        else:
            special.setdefault(catalogue.target(name).name, {})[key] = value
    _know(catalogue, general)
    targets = {
        name: Found(_turned(found.part, general, special.get(name, {})), found.origin)
        for name, found in catalogue.targets.items()
    }
    return dataclasses.replace(catalogue, targets=targets)


def turned(target: Target, chosen: Mapping[str, str]) -> Target:
    """The target with knobs at these values. Raises UsageError for an unknown knob or value."""
    changes = [_choice(target, key, value) for key, value in chosen.items()]
    apart = {key: value for key, value in chosen.items() if value != target.knobs[key].default}
    of_caches = [f"{key} {value}" for key, value in sorted(apart.items()) if target.knobs[key].of_caches]
    defines = {name: value for change in changes for name, value in change.defines.items()}
    firmware = target.firmware
    parts = FirmwareParts(
        sources=firmware.sources,
        ports=firmware.ports,
        defines={**firmware.defines, **defines},
        stack_bytes=firmware.stack_bytes,
    )
    clocks = [change.clock_hz for change in changes if change.clock_hz is not None]
    waits = [change.flash_wait_states for change in changes if change.flash_wait_states is not None]
    moves = [change.weights_in for change in changes if change.weights_in is not None]
    return target.model_copy(
        update={
            "chosen": apart,
            "firmware": parts,
            "clock_hz": clocks[-1] if clocks else target.clock_hz,
            "flash_wait_states": max(waits) if waits else target.flash_wait_states,
            "core": target.core.model_copy(update={"caches": ", ".join((target.core.caches, *of_caches))}),
            "regions": _with_weights_in(target, moves[-1]) if moves else target.regions,
        }
    )


def identifying(target: Target) -> dict[str, str]:
    """The options that belong to a Case: knobs that are not at their default."""
    return {f"target.{key}": value for key, value in sorted(target.chosen.items())}


def refuse_without(target: Target, words: Sequence[str]) -> None:
    """Raise UsageError if an option that was given for all targets is none that this one can set."""
    for word in words:
        name, key, value = _parsed(word)
        if name is None:
            _choice(target, key, value)


def _parsed(word: str) -> tuple[str | None, str, str]:
    name_and_key, equals, value = word.partition("=")
    name, _dot, key = name_and_key.strip().rpartition(".")
    if not (equals and key and value.strip()):
        raise UsageError(f"`{word}` is no target option", hint="--target-option prefetch=off: KEY=VALUE")
    return name or None, key, value.strip()


def _know(catalogue: Catalogue, general: Mapping[str, str]) -> None:
    known = {key for found in catalogue.targets.values() for key in found.part.knobs}
    for key in general:
        if key not in known:
            raise UsageError(f"no target has an option `{key}`", hint=did_you_mean(key, known))


def _turned(target: Target, general: Mapping[str, str], special: Mapping[str, str]) -> Target:
    possible = {
        key: value
        for key, value in general.items()
        if key in target.knobs and value in target.knobs[key].choices
    }
    chosen = possible | dict(special)
    return turned(target, chosen) if chosen else target


def _choice(target: Target, key: str, value: str) -> Choice:
    knob = target.knobs.get(key)
    if knob is None:
        all_known = "; ".join(f"{name}={'|'.join(its.choices)}" for name, its in target.knobs.items())
        raise UsageError(
            f"`{target.name}` has no option `{key}`: its firmware could not set it",
            hint=all_known or None,
        )
    if value not in knob.choices:
        raise UsageError(
            f"`{target.name}` cannot set `{key}={value}`", hint=f"{key}={'|'.join(knob.choices)}"
        )
    return knob.choices[value]


def _with_weights_in(target: Target, name: str) -> tuple[Region, ...]:
    def moved(region: Region) -> Region:
        uses = tuple(use for use in region.uses if use != "weights")
        return region.model_copy(update={"uses": (*uses, "weights") if region.name == name else uses})

    return tuple(moved(region) for region in target.regions)
