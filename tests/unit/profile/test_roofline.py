"""The most multiply-accumulates a cycle of each core, as the manuals' tables have them."""

from __future__ import annotations

import pytest

from tinybench.profile.roofline import roof_of
from tinybench.target import Core


@pytest.mark.parametrize(
    ("core", "expected"),
    [
        (Core(name="cortex-m0plus"), 0.5),  # MULS 1 and ADDS 1 (DDI 0484C, table 3-1, fast multiplier)
        (Core(name="cortex-m3"), 0.5),  # MLA 2 (DDI 0337I, table 3-1)
        (Core(name="cortex-m4", dsp=True), 2.0),  # SMLAD 1 (DDI 0439B, table 3-1)
        (Core(name="cortex-m7", dsp=True), 2.0),  # one multiplication a cycle, paired with none
    ],
)
def test_whole_numbers(core: Core, expected: float) -> None:
    roof = roof_of(core)
    assert roof is not None
    assert roof.macs_per_cycle == pytest.approx(expected)


def test_floats_where_there_is_a_unit_for_them() -> None:
    roof = roof_of(Core(name="cortex-m4", fpu="single", dsp=True), floating=True)
    assert roof is not None
    assert roof.macs_per_cycle == 0.5  # VMUL 1 and VADD 1; VFMA 3 (DDI 0439B, table 7-1)
    assert roof_of(Core(name="cortex-m3"), floating=True) is None


def test_a_core_that_is_not_modelled_has_none() -> None:
    assert roof_of(Core(name="cortex-m55", dsp=True)) is None
