"""What will be run, what will not and why: decided before anything is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from tinybench.errors import DeviceNotFound, SetupError, UsageError, WrongDigest
from tinybench.fetch import Fetcher, Places
from tinybench.models.loading import resolve
from tinybench.plan import Plan, Selection, buildable, plan
from tinybench.plugins import Catalogue, Found, discover
from tinybench.target import Core, Device, Region, Target
from tinybench.workload import Suite, SuiteEntry

LENT = platformdirs.user_cache_path("tinybench")


@dataclass(frozen=True)
class Desk:
    """An adapter with these boards on it, by target; `broken` is what finding fails with."""

    name: str
    simulated: bool
    boards: dict[str, list[str]] = field(default_factory=dict)
    broken: SetupError | None = None

    def find(self, target: Target) -> Sequence[Device]:
        if self.broken:
            raise self.broken
        return [Device(unit, target, self.name, self.simulated) for unit in self.boards.get(target.name, [])]

    def open(self, device, image) -> Any:
        raise AssertionError("planning opens nothing")


@dataclass(frozen=True)
class Picky:
    """An engine that refuses these workloads."""

    name: str
    refused: tuple[str, ...] = ()
    exactness: str = "exact"

    def refuses(self, workload, target):
        return f"operator `GATHER` of `{workload.spec.id}`" if workload.spec.id in self.refused else None

    def generate(self, workload, target, into) -> Any:
        raise AssertionError("planning generates nothing")


def target(name: str, *aliases: str) -> Target:
    flash = Region(name="FLASH", kind="flash", origin=0, size=1 << 20, uses=("vectors", "text", "weights"))
    ram = Region(name="RAM", kind="ram", origin=1 << 29, size=1 << 18, uses=("data", "arena", "stack"))
    return Target(
        name=name,
        title=name,
        aliases=aliases,
        mcu="m",
        core=Core(name="cortex-m4"),
        clock_hz=1,
        clock_source="s",
        regions=(flash, ram),
        folder=Path(),
    )


def suite(name: str, *entries: SuiteEntry) -> Suite:
    return Suite(name=name, title=name, entries=entries)


def found(*parts: Any) -> dict[str, Found[Any]]:
    return {part.name: Found(part, "test") for part in parts}


def catalogue(**changed: Any) -> Catalogue:
    """Two boards with virtual twins, of which one is connected; two engines; the real workloads."""
    workloads = dict(discover().workloads)
    nowhere = workloads["ad01"].part
    workloads["gone"] = Found(
        nowhere.model_copy(
            update={
                "id": "gone",
                "model": nowhere.model.model_copy(update={"file": "gone.tflite", "sha256": "0" * 64}),
            }
        ),
        "test",
    )
    known = Catalogue(
        targets=found(target("small", "small-rev-b"), target("large")),
        adapters=found(
            Desk("probe", simulated=False, boards={"large": ["probe:1"]}),
            Desk("virtual", simulated=True, boards={"small": ["virtual:small"], "large": ["virtual:large"]}),
        ),
        engines=found(Picky("reference"), Picky("other", refused=("ad01-mltk",))),
        workloads=workloads,
        suites=found(
            suite("ad", SuiteEntry(task="ad", alternatives=("gone", "ad01-mltk"))),
            suite("gap", SuiteEntry(task="sww", alternatives=("gone",), gap="not yet")),
            suite("none", SuiteEntry(task="ad", alternatives=("gone",))),
            suite(
                "maybe",
                SuiteEntry(task="ad", alternatives=("ad01-mltk",)),
                SuiteEntry(task="sww", alternatives=("gone",), optional=True),
            ),
            suite("unheard-of", SuiteEntry(task="ad", alternatives=("ad01-mltk", "ad99"))),
        ),
    )
    return replace(known, **changed)


@pytest.fixture
def fetcher():
    return Fetcher(Places(LENT, offline=True))


SELECTION = Selection(suites=("ad",), devices=("small",), simulate=True)


def planned(fetcher: Fetcher, known: Catalogue | None = None, **words: Any) -> Plan:
    return plan(replace(SELECTION, **words), known or catalogue(), fetcher, None)


def cells(made: Plan) -> list[tuple[str, str, str, str]]:
    return [(c.workload.spec.id, c.engine.name, c.target.name, c.device.id) for c in made.cases]


def test_the_first_alternative_that_can_be_had_is_taken_and_the_others_are_explained(fetcher):
    made = planned(fetcher)
    assert cells(made) == [("ad01-mltk", "reference", "small", "virtual:small")]
    (case,) = made.cases
    assert case.adapter.name == "virtual"
    (note,) = made.notes
    assert note.startswith("task ad: `ad01-mltk` is taken; the model of `gone` cannot be had")


def test_every_combination_is_a_case_or_a_gap(fetcher):
    made = planned(fetcher, engines=("reference,other",), devices=("small", "large"))
    assert cells(made) == [
        ("ad01-mltk", "reference", "small", "virtual:small"),
        ("ad01-mltk", "reference", "large", "virtual:large"),
    ]
    assert [(gap.workload, gap.engine, gap.target, gap.reason) for gap in made.gaps] == [
        ("ad01-mltk", "other", "small", "operator `GATHER` of `ad01-mltk`"),
        ("ad01-mltk", "other", "large", "operator `GATHER` of `ad01-mltk`"),
    ]


def test_a_task_with_a_gap_is_not_fetched(fetcher):
    made = planned(fetcher, suites=("gap",), engines=("reference", "other"))
    assert made.cases == ()
    assert [(gap.workload, gap.engine, gap.reason) for gap in made.gaps] == [
        ("sww", "reference", "not yet"),
        ("sww", "other", "not yet"),
    ]


def test_an_optional_task_that_cannot_be_had_is_a_gap_that_says_how_to_give_the_file(fetcher):
    made = planned(fetcher, suites=("maybe",))
    assert [workload for workload, *_ in cells(made)] == ["ad01-mltk"]
    (gap,) = made.gaps
    assert gap.workload == "sww"
    assert "the model of `gone` cannot be had" in gap.reason
    assert "put `gone.tflite` (sha256 0000" in gap.reason
    assert "set TINYBENCH_MODELS to it" in gap.reason


def test_an_optional_task_with_a_wrong_file_still_stops_the_plan(tmp_path):
    (tmp_path / "gone.tflite").write_bytes(b"something else")
    with pytest.raises(WrongDigest):
        planned(Fetcher(Places(LENT, models=tmp_path, offline=True)), suites=("maybe",))


def test_what_is_named_twice_is_run_once(fetcher):
    made = planned(
        fetcher,
        suites=("ad,ad", "ad"),
        workloads=("ad01-mltk",),
        devices=("small", "small-rev-b", "virtual:small"),
    )
    assert cells(made) == [("ad01-mltk", "reference", "small", "virtual:small")]


def test_a_board_that_is_connected_is_used_without_simulation(fetcher):
    assert cells(planned(fetcher, devices=("large",), simulate=False))[0][3] == "probe:1"
    assert cells(planned(fetcher, devices=("probe:1",), simulate=False))[0][2] == "large"


def test_options_reach_the_case(fetcher):
    (case,) = planned(fetcher, options={"weights": "ram"}).cases
    assert case.options == {"weights": "ram"}


def test_no_board_says_so_and_hints_at_the_virtual_one(tmp_path):
    """Before any model is fetched: this fetcher could bring none."""
    nothing = Fetcher(Places(tmp_path, offline=True), python="there-is-no-such-python")
    with pytest.raises(DeviceNotFound) as raised:
        planned(nothing, simulate=False)
    assert raised.value.message == "no board of target small was found"
    assert raised.value.hint == "add --simulate to run on the virtual board"
    assert raised.value.exit_code == 4


def test_a_board_without_a_virtual_twin_is_not_promised_one(fetcher):
    known = catalogue(adapters=found(Desk("probe", simulated=False)))
    with pytest.raises(DeviceNotFound) as raised:
        planned(fetcher, known, simulate=False)
    assert "--simulate" not in str(raised.value.hint)
    with pytest.raises(DeviceNotFound, match="there is no virtual board of target small"):
        planned(fetcher, known)


def test_a_broken_adapter_does_not_hide_another(fetcher):
    broken = Desk("a-broken-one", simulated=True, broken=SetupError("no permission on `/dev/bus/usb`"))
    known = catalogue()
    both = {**found(broken), **known.adapters}
    assert len(planned(fetcher, replace(known, adapters=both)).cases) == 1
    with pytest.raises(DeviceNotFound) as raised:
        planned(fetcher, replace(known, adapters=found(broken)))
    assert raised.value.__notes__ == ["no permission on `/dev/bus/usb`"]


def test_two_boards_of_one_target_must_be_told_apart(fetcher):
    known = catalogue(adapters=found(Desk("probe", simulated=False, boards={"small": ["p:1", "p:2"]})))
    with pytest.raises(UsageError, match="2 boards of target `small`") as raised:
        planned(fetcher, known, simulate=False)
    assert raised.value.hint == "--device p:1 or --device p:2"
    assert cells(planned(fetcher, known, simulate=False, devices=("p:2",)))[0][3] == "p:2"


def test_an_adapter_may_be_forced(fetcher):
    known = catalogue()
    second = {**known.adapters, **found(Desk("virtual-2", simulated=True, boards={"small": ["v2:small"]}))}
    made = planned(fetcher, replace(known, adapters=second), adapter="virtual-2")
    assert made.cases[0].device.id == "v2:small"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ({"suites": ("gaps",)}, "unknown suite `gaps`", "`gap`"),
        ({"workloads": ("ad01-mltq",)}, "unknown workload `ad01-mltq`", "`ad01-mltk`"),
        ({"suites": ("unheard-of",)}, "unknown workload `ad99`", "ad01"),
        ({"engines": ("referense",)}, "unknown engine `referense`", "`reference`"),
        ({"devices": ("smal",)}, "unknown device `smal`", "`small`"),
        ({"adapter": "virtuel"}, "unknown adapter `virtuel`", "`virtual`"),
        ({"suites": (",",)}, "no suite and no workload is named", "--suite"),
        ({"devices": ()}, "no device is named", "--device"),
        ({"engines": ()}, "no engine is named", "list engines"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_fetched(tmp_path, words, message, hint):
    nothing = Fetcher(Places(tmp_path, offline=True), python="there-is-no-such-python")
    with pytest.raises(UsageError) as raised:
        planned(nothing, **words)
    assert raised.value.message == message
    assert hint in str(raised.value.hint)


def test_a_task_whose_every_alternative_fails_names_each_reason(tmp_path):
    known = catalogue()
    second = known.workloads["gone"].part.model_copy(update={"id": "gone-too"})
    known = replace(known, workloads={**known.workloads, "gone-too": Found(second, "test")})
    entry = SuiteEntry(task="ad", alternatives=("gone", "gone-too"))
    with pytest.raises(SetupError) as raised:
        resolve(entry, known, Fetcher(Places(tmp_path, offline=True)), None)
    assert "no model of task `ad` can be had" in raised.value.message
    assert "`gone`" in raised.value.message
    assert "`gone-too`" in raised.value.message
    assert raised.value.exit_code == 7


def test_one_alternative_that_fails_says_why_itself(fetcher):
    with pytest.raises(SetupError, match="the model of `gone` cannot be had"):
        planned(fetcher, suites=("none",))


def test_a_users_file_with_other_bytes_stops_the_plan(tmp_path):
    (tmp_path / "gone.tflite").write_bytes(b"something else")
    with pytest.raises(WrongDigest):
        planned(Fetcher(Places(LENT, models=tmp_path, offline=True)))


def test_building_needs_no_device(fetcher):
    known = catalogue(adapters={})
    words = replace(
        SELECTION, suites=("ad", "gap"), engines=("reference", "other"), devices=("small", "small-rev-b")
    )
    images, gaps = buildable(words, known, fetcher, None)
    assert [(i.workload.spec.id, i.engine.name, i.target.name) for i in images] == [
        ("ad01-mltk", "reference", "small")
    ]
    assert [(gap.workload, gap.engine, gap.reason) for gap in gaps] == [
        ("ad01-mltk", "other", "operator `GATHER` of `ad01-mltk`"),
        ("sww", "reference", "not yet"),
        ("sww", "other", "not yet"),
    ]


@pytest.mark.parametrize(
    ("words", "message"), [({"devices": ()}, "no device"), ({"engines": ()}, "no engine")]
)
def test_building_for_nothing_is_refused(fetcher, words, message):
    with pytest.raises(UsageError, match=message):
        buildable(replace(SELECTION, **words), catalogue(), fetcher, None)
