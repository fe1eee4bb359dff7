"""Right first, then the cost: answers, boards, counts and memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinybench import measure
from tinybench.errors import ClockSuspect, ProtocolError, WrongAnswer, WrongBoard
from tinybench.fakes import NO_CAPABILITIES, FakeSimulator, Faults
from tinybench.latency import QUICK


def clean(desk, link, *, simulated=False, workload=None, **options):
    return measure.clean(
        link,
        desk.session(link),
        workload or desk.workload,
        desk.image(),
        device=desk.device(simulated=simulated),
        rules=QUICK,
        **options,
    )


def by_name(measurements):
    return {measurement.metric: measurement for measurement in measurements}


def test_a_real_device_gives_latencies_and_no_counts(desk):
    result = clean(desk, desk.firmware())
    assert [check.equal for check in result.golden] == [True] * 3
    (latency,) = result.measurements
    assert (latency.metric, latency.kind, latency.unit) == ("latency", "measured", "s")
    assert len(latency.samples) == QUICK.windows
    assert latency.samples == pytest.approx([0.001] * QUICK.windows, rel=1e-4)
    assert result.simulator is None


def test_a_simulated_device_gives_counts_and_no_latency(desk):
    result = clean(desk, desk.simulator(), simulated=True)
    (instructions,) = result.measurements
    assert (instructions.metric, instructions.kind) == ("instructions", "counted")
    assert instructions.samples == (1000, 1000, 1000)
    assert [(f.name, f.instructions) for f in result.functions] == [("tb_engine_invoke", 1000)]
    assert dict(result.operator_instructions) == {0: 500, 1: 500}
    assert result.simulator == "fake 1.0"
    assert result.simulated_wall_s > 0


def test_a_simulator_that_counts_nothing_and_has_no_clock_still_proves_the_answers(desk):
    result = clean(desk, desk.firmware(faults=Faults(clock_stuck=True)), simulated=True)
    assert result.measurements == ()
    assert len(result.golden) == 3
    assert len(result.notes) == 2


def test_a_real_device_whose_clock_stands_still_is_not_measured(desk):
    with pytest.raises(ClockSuspect):
        clean(desk, desk.firmware(faults=Faults(clock_stuck=True)))


@pytest.mark.parametrize("link", ["firmware", "simulator"])
def test_a_wrong_answer_is_never_timed_or_counted(desk, link):
    made = getattr(desk, link)(faults=Faults(flipped_bit=17))
    with pytest.raises(WrongAnswer) as caught:
        clean(desk, made, simulated=link == "simulator")
    message = caught.value.message
    assert "`zeros`" in message
    assert "element `2`" in message
    assert "expected `-1`, got `-3`" in message
    assert "1 of 4 elements differ, by at most 2" in message
    assert caught.value.exit_code == 3


def test_an_engine_that_only_promises_to_be_close_may_differ_in_the_last_places(desk):
    result = clean(desk, desk.firmware(faults=Faults(flipped_bit=17)), allowed=2)
    assert [check.largest_difference for check in result.golden] == [2, 2, 2]
    assert not any(check.equal for check in result.golden)
    with pytest.raises(WrongAnswer):
        clean(desk, desk.firmware(faults=Faults(flipped_bit=18)), allowed=2)


def test_where_only_the_digest_is_known_the_digest_decides(desk):
    workload = desk.with_outputs_unknown()
    assert clean(desk, desk.firmware(), workload=workload).golden[0].equal
    with pytest.raises(WrongAnswer, match="digest"):
        clean(desk, desk.firmware(faults=Faults(flipped_bit=0)), workload=workload, allowed=2)


def test_an_output_of_another_size_is_wrong(desk):
    with pytest.raises(WrongAnswer, match="`5` bytes, not `4`"):
        measure.judge(desk.workload.goldens[0], bytes(5))


@pytest.mark.parametrize(
    "settings", [{"build_id": "e" * 40}, {"target": "another"}, {"capabilities": NO_CAPABILITIES}]
)
def test_another_board_or_image_is_refused_before_it_is_asked_anything(desk, settings):
    link = desk.firmware(**settings)
    with pytest.raises(WrongBoard):
        clean(desk, link)
    assert link.invocations == 0


def test_a_count_of_another_number_of_inferences_is_an_error(desk):
    class Twice(FakeSimulator):
        def profile(self):
            once = super().profile()
            return replace(once, invocations=once.invocations * 2)

    with pytest.raises(ProtocolError, match="`2` were counted"):
        clean(desk, Twice(desk.firmware()), simulated=True)


@pytest.mark.parametrize("simulated", [False, True])
def test_the_instrumented_image_tells_memory_operators_and_its_own_cost(desk, simulated):
    link = (desk.simulator if simulated else desk.firmware)("instrumented")
    image = desk.image("instrumented")
    device = desk.device(simulated=simulated)
    result = measure.instrumented(link, desk.session(link), desk.workload, image, device=device)
    plain = clean(desk, (desk.simulator if simulated else desk.firmware)(), simulated=simulated)
    assert measure.probe_effect(plain, result) == pytest.approx(0.1, rel=1e-3)
    costs = measure.operator_costs(desk.workload, image, plain, result, 100_000_000)
    assert [(cost.name, cost.macs) for cost in costs] == [("FULLY_CONNECTED", 16), ("SOFTMAX", 0)]
    assert [cost.instructions for cost in costs] == ([500, 500] if simulated else [None, None])
    assert [cost.cycles for cost in costs] == ([None, None] if simulated else [600, 400])


def test_a_wrong_instrumented_image_is_not_believed_either(desk):
    link = desk.simulator("instrumented", Faults(flipped_bit=1))
    session = desk.session(link)
    with pytest.raises(WrongAnswer):
        measure.instrumented(
            link, session, desk.workload, desk.image("instrumented"), device=desk.device(simulated=True)
        )


def test_peak_ram_is_the_sum_of_its_four_parts(desk):
    memory = desk.session(desk.firmware("instrumented")).memory()
    found = by_name(measure.memory_measurements(desk.image(), memory))
    assert {name: m.samples for name, m in found.items()} == {
        "flash": (5000,),
        "ram_static": (300,),
        "ram_arena": (1024,),
        "ram_stack": (512,),
        "ram_heap": (0,),
        "ram_peak": (300 + 1024 + 512,),
    }
    assert {m.kind for m in found.values()} == {"counted"}


def test_without_a_painted_stack_there_is_no_peak(desk):
    memory = desk.session(desk.firmware()).memory()
    found = by_name(measure.memory_measurements(desk.image(), memory))
    assert "ram_stack" not in found
    assert "ram_peak" not in found


def test_the_model_tells_its_work_and_size(desk):
    found = by_name(measure.model_measurements(desk.workload))
    assert (found["macs"].samples, found["parameters"].samples) == ((16,), (16,))
