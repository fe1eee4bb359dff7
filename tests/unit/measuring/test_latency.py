"""Windows on a real clock, in virtual time: long enough, few probes, and a clock that may be wrong."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybench.errors import ClockSuspect, ClockUnproven
from tinybench.fakes import FakeLine, Faults
from tinybench.latency import MLPERF, QUICK, Rules, clock_rate, is_proven, timed
from tinybench.wire import Stamp


def measured(desk, rules=QUICK, **options):
    link = desk.firmware(**options)
    return timed(
        desk.session(link, link.line.baud), [golden.data for golden in desk.workload.goldens], rules
    ), link


def windows(link, rules):
    """How many inferences each window had: what follows the warm-up, from the second input's load on."""
    sizes = [int(command.split()[1]) for command in link.commands if command.startswith("infer")]
    return sizes[-2 * rules.windows + 1 :: 2]


@pytest.mark.parametrize("rules", [QUICK, MLPERF])
@pytest.mark.parametrize("latency_s", [2e-6, 0.00137, 0.0427, 0.9, 4.0])
def test_every_window_is_long_enough_and_close_to_what_was_asked(desk, rules, latency_s):
    samples, link = measured(desk, rules, latency_s=latency_s)
    assert samples == pytest.approx([latency_s] * rules.windows, rel=2e-4)
    for n in windows(link, rules):
        assert n == 2 or rules.window_s <= n * latency_s <= 1.1 * rules.window_s + latency_s


@pytest.mark.parametrize("ratio", [0.5, 0.985, 1.015, 2.0])
def test_a_clock_of_another_rate_than_the_host_s_is_suspect(desk, ratio):
    with pytest.raises(ClockSuspect) as caught:
        measured(desk, faults=Faults(clock_ratio=ratio))
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("ratio", [0.995, 1.005])
def test_within_one_per_cent_a_clock_is_believed(desk, ratio):
    samples, _ = measured(desk, faults=Faults(clock_ratio=ratio))
    assert samples == pytest.approx([0.001 * ratio] * QUICK.windows, rel=1e-4)


def test_slow_replies_and_a_slow_line_are_no_clock_error(desk):
    samples, _ = measured(desk, line=FakeLine(baud=9600), faults=Faults(late_s=0.4))
    assert samples == pytest.approx([0.001] * QUICK.windows, rel=1e-4)


def test_the_host_s_own_jitter_is_not_held_against_the_device(desk):
    """16 ms is the latency timer of a common USB bridge: 3 % of a quick window."""
    samples, _ = measured(desk, line=FakeLine(jitter_s=(0.0, 0.016, 0.004, 0.011, 0.016)))
    assert len(samples) == QUICK.windows


def test_a_window_whose_stamps_do_not_tell_is_made_longer(desk):
    """20 ms each way are 8 % of a quick window, and less than a per cent of a longer one."""
    samples, link = measured(desk, line=FakeLine(jitter_s=(0.02,), heard_late_s=(0.02,)))
    assert samples == pytest.approx([0.001] * QUICK.windows, rel=1e-4)
    assert min(windows(link, QUICK)) * 0.001 > 2 * QUICK.window_s


def test_a_computer_too_busy_to_judge_says_so(desk):
    """Neither right nor wrong: trouble of the bench, tried again, never a number."""
    rules = Rules(name="short", window_s=0.1, windows=3, warmup=1)
    with pytest.raises(ClockUnproven) as caught:
        measured(desk, rules, line=FakeLine(heard_late_s=(1.5,)), latency_s=1e-5)
    assert caught.value.exit_code == 4
    assert caught.value.hint


@pytest.mark.parametrize(("ratio", "suspect"), [(1.0, False), (0.985, True), (1.015, True)])
def test_firmware_that_shows_no_time_is_judged_by_its_inferences(desk, ratio, suspect):
    faults = Faults(clock_ratio=ratio, timeless=True)
    if suspect:
        with pytest.raises(ClockSuspect):
            measured(desk, faults=faults)
        return
    samples, _ = measured(desk, faults=faults)
    assert samples == pytest.approx([0.001] * QUICK.windows, rel=1e-4)


DELAYS = st.lists(
    st.sampled_from([0.0, 0.0, 0.0005, 0.003, 0.011, 0.016, 0.05, 0.3]), min_size=1, max_size=12
)
HYPOTHESIS = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100
)


@HYPOTHESIS
@given(before=DELAYS, after=DELAYS, ratio=st.floats(0.9945, 1.0055), latency_s=st.floats(1e-4, 0.3))
def test_a_good_clock_is_never_suspect_however_late_anything_is_heard(desk, before, after, ratio, latency_s):
    line = FakeLine(jitter_s=before, heard_late_s=after)
    try:
        samples, _ = measured(desk, line=line, faults=Faults(clock_ratio=ratio), latency_s=latency_s)
    except ClockUnproven:
        return
    assert samples == pytest.approx([latency_s * ratio] * QUICK.windows, rel=1e-4)


@HYPOTHESIS
@given(
    before=DELAYS,
    after=DELAYS,
    ratio=st.one_of(st.floats(0.5, 0.9899), st.floats(1.0101, 2.0)),
    latency_s=st.floats(1e-4, 0.3),
)
def test_a_clock_more_than_one_per_cent_off_never_gives_a_number(desk, before, after, ratio, latency_s):
    line = FakeLine(jitter_s=before, heard_late_s=after)
    with pytest.raises((ClockSuspect, ClockUnproven)):
        measured(desk, line=line, faults=Faults(clock_ratio=ratio), latency_s=latency_s)


TIMES = st.lists(st.floats(1e-3, 30.0), min_size=9, max_size=9)


@given(gaps_s=TIMES, rate=st.floats(0.5, 2.0))
def test_the_bounds_of_the_rate_hold_for_any_delays(gaps_s, rate):
    """Nine moments in a row: sent, read, heard of three stamps; the window is read once more in between."""
    moments = [sum(gaps_s[: index + 1]) for index in range(9)]
    device_us = [round(moment * rate * 1e6) for moment in moments]
    before = Stamp(moments[0], device_us[1], device_us[1], moments[2])
    window = Stamp(moments[3], device_us[4], device_us[4] + round(gaps_s[5] * rate * 5e5), moments[5])
    after = Stamp(moments[6], device_us[7], device_us[7], moments[8])
    found = clock_rate(before, window, after)
    assert found.lowest <= rate * 1.002
    assert found.highest >= rate * 0.998
    if rate > 1.02 or rate < 0.98:
        with contextlib.suppress(ClockSuspect):
            assert not is_proven(found, 0.01)


def test_32_bit_cycles_divided_before_the_wrap_are_suspect(desk):
    """`CYCCNT / MHz` at 480 MHz wraps every 8.95 s, which modulo-2^32-microsecond arithmetic cannot mend.

    The official runner printed 7.7 times the true throughput for it (a public export for Cortex-M does this).
    """
    with pytest.raises(ClockSuspect):
        measured(desk, MLPERF, faults=Faults(wrap_mhz=480), latency_s=0.1055)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(latency_s=st.floats(1e-5, 3.0), mhz=st.sampled_from([48, 216, 480]))
def test_a_wrapping_counter_never_gives_a_wrong_latency(desk, latency_s, mhz):
    rules = Rules(name="short", window_s=2.0, windows=3, warmup=1)
    try:
        samples, _ = measured(desk, rules, faults=Faults(wrap_mhz=mhz), latency_s=latency_s)
    except ClockSuspect:
        return
    assert samples == pytest.approx([latency_s] * 3, rel=0.011)
