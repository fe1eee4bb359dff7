"""Models of peripherals, found by name: a board is TOML, a new peripheral is a new module here.

A module offers `MODELS`: from the name that a board's TOML uses to a function that builds the model out of
its name, its parameters (the TOML table's own keys) and the board's wiring.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from device_adapters.virtual.memory import Device
from device_adapters.virtual.wiring import Wiring
from tinybench.errors import UsageError, did_you_mean

Build = Callable[[str, Mapping[str, Any], Wiring], Device]


def models() -> dict[str, Build]:
    """Every peripheral model by name."""
    found: dict[str, Build] = {}
    for module in pkgutil.iter_modules(__path__):
        found |= importlib.import_module(f"{__name__}.{module.name}").MODELS
    return found


def build(model: str, name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Device:
    """One peripheral; raises UsageError for an unknown model."""
    known = models()
    if model not in known:
        raise UsageError(f"unknown peripheral model `{model}`", hint=did_you_mean(model, known))
    return known[model](name, parameters, wiring)
