"""The inventory of a desk: which port belongs to which probe, and that a person's lines survive a scan."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybench.errors import SetupError, UsageError
from tinybench.inventory import (
    Bench,
    SeenPort,
    SeenProbe,
    Unit,
    add,
    is_virtual,
    load,
    path,
    port_of,
    propose,
)
from tinybench.target import Core, Region, Target

ALL_USES = ("vectors", "text", "weights", "data", "arena", "stack")


def board(name: str, pyocd_target: str, interface: int = 0) -> Target:
    return Target.model_validate(
        {
            "name": name,
            "title": name,
            "mcu": "x",
            "core": Core(name="cortex-m4"),
            "clock_hz": 1,
            "clock_source": "x",
            "regions": [Region(name="all", kind="ram", origin=0, size=1024, uses=ALL_USES)],
            "serial": {"interface": interface},
            "probe": {"pyocd_targets": [pyocd_target]},
            "folder": Path(),
        }
    )


@pytest.mark.parametrize(
    ("uid", "serial_number"),
    [
        ("066BFF343334", "066BFF343334"),
        ("066bff343334", "066BFF343334"),
        ("000261002616", "261002616"),
        ("261002616", "000261002616"),
        (b"3\x00\xffm\x06\x12Aa\x01\x02\x03\x04".hex(), "3\x00\xffm\x06\x12Aa\x01\x02\x03\x04"),
    ],
)
def test_a_probe_and_its_port_are_one_unit_however_the_number_is_spelt(uid: str, serial_number: str) -> None:
    assert port_of(uid, [SeenPort("other", "1", None), SeenPort("mine", serial_number, None)]) == "mine"


def test_the_lowest_interface_is_the_first_port_on_every_system() -> None:
    ports = [
        SeenPort("/dev/ttyACM3", "A", "1-4:1.10"),
        SeenPort("/dev/ttyACM4", "A", "1-4:1.2"),
        SeenPort("COM7", "B", "20-2:x.4"),
        SeenPort("COM8", "B", "20-2:x.0"),
    ]
    assert port_of("A", ports) == "/dev/ttyACM4"
    assert port_of("A", ports, interface=1) == "/dev/ttyACM3"
    assert port_of("A", ports, interface=2) is None
    assert port_of("B", ports) == "COM8"


@given(st.text(), st.text())
def test_numbers_of_different_units_do_not_match_by_accident(uid: str, serial_number: str) -> None:
    found = port_of(uid, [SeenPort("port", serial_number, None)])
    assert found is None or (
        uid.lower() == serial_number.lower()
        or uid.lstrip("0") == serial_number.lstrip("0")
        or uid.lower() == serial_number.encode("latin-1", "replace").hex()
    )


def test_a_scan_names_new_boards_and_leaves_known_ones_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "bench.toml"
    targets = [board("nucleo-f746", "stm32f746zgtx"), board("dk", "nrf52840", interface=1)]
    probes = [
        SeenProbe("F1", "STLink", "stm32f746zgtx"),
        SeenProbe("F2", "STLink", "stm32f746zgtx"),
        SeenProbe("N1", "J-Link", "nrf52840"),
        SeenProbe("Q", "mystery"),
    ]
    ports = [SeenPort("p1", "f1", None), SeenPort("n.a", "N1", "1-1:1.0"), SeenPort("n.b", "N1", "1-1:1.2")]
    add(file, propose(Bench(), probes[:1], ports, targets))
    written = file.read_text()
    file.write_text("# the lab's first board\n" + written.replace('"STLink"', '"STLink, left shelf"'))
    add(file, propose(load(file), probes, ports, targets))
    bench = load(file)
    assert [(u.id, u.probe, u.port, u.notes) for u in bench.device] == [
        ("nucleo-f746-1", "F1", "p1", "STLink, left shelf"),
        ("nucleo-f746-2", "F2", None, "STLink"),
        ("dk-1", "N1", "n.b", "J-Link"),
        ("unknown-1", "Q", None, "mystery"),
    ]
    assert file.read_text().startswith("# the lab's first board\n")
    assert propose(bench, probes, ports, targets) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("device = 3", "device"),
        ('[[device]]\nid = "a"', "target"),
        ('[[device]]\nid = "a b"\ntarget = "x"', "id"),
        ('[[device]]\nid = "a"\ntarget = "x"\ncolour = "red"', "colour"),
        ("[[device", "cannot read"),
        ('[[device]]\nid="a"\ntarget="x"\n[[device]]\nid="a"\ntarget="x"', "id `a` stands twice"),
        (
            '[[device]]\nid="a"\ntarget="x"\nprobe="P"\n[[device]]\nid="b"\ntarget="x"\nprobe="P"',
            "probe `P` stands",
        ),
    ],
)
def test_a_damaged_inventory_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=said) as raised:
        load(file)
    assert str(file) in raised.value.message


def test_no_file_is_an_empty_desk_and_the_environment_names_it(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml") == Bench()
    assert path({"TINYBENCH_BENCH": "x.toml"}) == Path("x.toml")
    assert path({}).name == "bench.toml"


def test_what_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="cannot write"):
        add(tmp_path / "file" / "bench.toml", [Unit(id="a", target="x")])


@pytest.mark.parametrize(
    ("uid", "virtual"),
    [
        ("066DVIRTUALF74600000001", True),
        ("1102virtualn52800000001", True),
        ("0669FF535155878281153024", False),
        (None, False),
    ],
)
def test_a_unit_of_a_virtual_desk_says_so(uid: str | None, virtual: bool) -> None:
    assert is_virtual(uid) is virtual
