"""`--engine-option NAME.key=value`: what a user may set of an engine, typed and checked by the engine.

An engine that has options declares a Record of them, each with a default. What changes the code is part of
the question that a Case asks, and is written into it. Where to find a library is not, and its field is marked
so: the engine's version in the record says what came of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from pydantic import ValidationError

from tinybench.engine import Engine
from tinybench.errors import UsageError, did_you_mean
from tinybench.plugins import Catalogue, Found
from tinybench.records import Record

# For pydantic's `Field(json_schema_extra=...)`: an option that leaves the question what it is.
DOES_NOT_IDENTIFY: dict[str, Any] = {"identifies": False}


@runtime_checkable
class TakesOptions(Protocol):
    """An engine with options of its own."""

    @property
    def options(self) -> Record:
        """What is set."""

    def with_options(self, options: Any) -> Engine:
        """The same engine with these options, of the same type."""


def applied(catalogue: Catalogue, words: Sequence[str]) -> Catalogue:
    """The catalogue, its engines with the options of `words` (`NAME.key=value`, the last one wins).

    Raises UsageError for a word of another form, an unknown engine or key, and a value of the wrong type.
    """
    given: dict[str, dict[str, str]] = {}
    for word in words:
        name, key, value = _parsed(word)
        catalogue.engine(name)
        given.setdefault(name, {})[key] = value
    engines = {
        name: Found(_configured(found.part, given[name]), found.origin) if name in given else found
        for name, found in catalogue.engines.items()
    }
    return dataclasses.replace(catalogue, engines=engines)


def identifying(engine: Engine) -> dict[str, str]:
    """The options that belong to a Case: those that change the code, where they are not the default."""
    if not isinstance(engine, TakesOptions):
        return {}
    options = engine.options
    return {
        f"{engine.name}.{key}": _text(getattr(options, key))
        for key, field in type(options).model_fields.items()
        if getattr(options, key) != field.get_default(call_default_factory=True)
        and field.json_schema_extra != DOES_NOT_IDENTIFY
    }


def _parsed(word: str) -> tuple[str, str, str]:
    name_and_key, equals, value = word.partition("=")
    name, dot, key = name_and_key.strip().rpartition(".")
    if not (equals and dot and name and key):
        raise UsageError(
            f"`{word}` is no engine option", hint="--engine-option cmsis-nn.path=/where/it/is: NAME.key=value"
        )
    return name, key, value.strip()


def _configured(engine: Engine, given: Mapping[str, str]) -> Engine:
    known = type(engine.options).model_fields if isinstance(engine, TakesOptions) else {}
    if not isinstance(engine, TakesOptions) or not known:
        raise UsageError(f"engine `{engine.name}` has no options, and `{next(iter(given))}` was given")
    for key in given:
        if key not in known:
            raise UsageError(f"engine `{engine.name}` has no option `{key}`", hint=did_you_mean(key, known))
    try:
        return engine.with_options(type(engine.options).model_validate(given))
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise UsageError(
            f"engine option `{engine.name}.{key}={given.get(key, '')}`: {first['msg']}"
        ) from error


def _text(value: object) -> str:
    """As a user would type it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
