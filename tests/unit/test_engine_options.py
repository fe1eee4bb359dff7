"""Options of engines: typed, checked by name, and part of the question where they change the code."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from tinybench import config
from tinybench.engine_options import DOES_NOT_IDENTIFY, applied, identifying
from tinybench.errors import UsageError
from tinybench.plugins import Catalogue, Found
from tinybench.records import Record


class Settings(Record):
    unroll: int = Field(default=4, ge=1)
    order: Literal["rows", "columns"] = "rows"
    packing: bool = True
    path: Path | None = Field(default=None, json_schema_extra=DOES_NOT_IDENTIFY)


@dataclass(frozen=True)
class Tunable:
    name: str = "tunable"
    exactness: str = "exact"
    options: Settings = field(default_factory=Settings)

    def with_options(self, options):
        return replace(self, options=options)

    def refuses(self, workload, target):
        return None

    def generate(self, workload, target, into) -> Any:
        raise AssertionError("not asked for here")


@dataclass(frozen=True)
class Plain:
    name: str = "plain"
    exactness: str = "exact"
    refuses = Tunable.refuses
    generate = Tunable.generate


CATALOGUE = Catalogue(engines={e.name: Found(e, "test") for e in (Tunable(), Plain())})


def test_values_have_the_type_that_the_engine_says():
    words = ["tunable.unroll=8", "tunable.order=columns", "tunable.packing=off", "tunable.path=a=b"]
    engine = applied(CATALOGUE, words).engine("tunable")
    assert engine.options == Settings(unroll=8, order="columns", packing=False, path=Path("a=b"))


def test_the_last_of_two_words_wins_and_other_engines_stay_as_they_are():
    found = applied(CATALOGUE, ["tunable.unroll=8", "tunable.unroll=2"])
    assert found.engine("tunable").options.unroll == 2
    assert found.engine("plain") is CATALOGUE.engine("plain")


@pytest.mark.parametrize(
    ("word", "complaint", "hint"),
    [
        ("tunable.unrol=8", "has no option `unrol`", "did you mean `unroll`?"),
        ("tuneable.unroll=8", "unknown engine `tuneable`", "did you mean `tunable`?"),
        ("plain.unroll=8", "engine `plain` has no options", None),
        ("tunable.unroll=many", r"`tunable\.unroll=many`", None),
        ("tunable.unroll=0", r"`tunable\.unroll=0`", None),
        ("tunable.order=diagonal", r"'rows' or 'columns'", None),
        (
            "tunable.unroll",
            "is no engine option",
            "--engine-option cmsis-nn.path=/where/it/is: NAME.key=value",
        ),
        ("unroll=8", "is no engine option", "--engine-option cmsis-nn.path=/where/it/is: NAME.key=value"),
    ],
)
def test_what_cannot_be_set_is_named(word, complaint, hint):
    with pytest.raises(UsageError, match=complaint) as raised:
        applied(CATALOGUE, [word])
    assert raised.value.hint == hint


def test_what_changes_the_code_identifies_and_where_a_library_lies_does_not():
    engine = applied(CATALOGUE, ["tunable.packing=no", "tunable.unroll=4", "tunable.path=x"]).engine(
        "tunable"
    )
    assert identifying(engine) == {"tunable.packing": "off"}
    assert identifying(Plain()) == {}


def test_options_of_a_file_come_first_and_its_paths_are_its_own(tmp_path):
    (tmp_path / "tinybench.toml").write_text(
        'engine_option = ["cmsis-nn.path = nn", "bakenn-smlad.packing=off"]\n'
    )
    found = config.load({"engine_option": ["bakenn-smlad.packing=on"]}, environ={}, cwd=tmp_path)
    assert found.settings.engine_option == (
        f"cmsis-nn.path ={tmp_path / 'nn'}",
        "bakenn-smlad.packing=off",
        "bakenn-smlad.packing=on",
    )
