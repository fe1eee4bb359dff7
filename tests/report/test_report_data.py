"""What a report says, before any HTML."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tinybench.errors import UsageError
from tinybench.records import Gap
from tinybench.report.data import build_report
from tinybench.report.drawings import Bars, Spans
from tinybench.report.page import Facts, Figure, Table
from tinybench.report.quantities import spread

WRITTEN = datetime(2026, 11, 21, tzinfo=UTC)


def report_of(*runs, **more):
    return build_report(runs, written=WRITTEN, **more)


def blocks(report):
    for section in report.sections:
        yield from section.blocks
        for fold in section.folds:
            yield from fold.blocks


def table(report, table_id) -> Table:
    return next(block for block in blocks(report) if isinstance(block, Table) and block.id == table_id)


def column(of: Table, title: str) -> list:
    position = [column.title for column in of.columns].index(title)
    return [row.cells[position] for row in of.rows]


def test_the_heading_is_the_answer(run_of):
    run = run_of()
    report = report_of(run)
    assert report.heading == (
        "reference runs vww01 on nucleo-f746 in 51.9 M instructions, 61.9 kB RAM, 333 kB flash — "
        "counted on a virtual board, not a time"
    )
    assert report.tone == "plain"


def test_a_measured_latency_comes_before_counted_instructions_in_the_heading(run_of):
    run = run_of(simulated=False, measurements=(run_of.measured("latency", 0.2141, 0.2142, 0.2143),))
    assert "in 214 ms, " in report_of(run).heading
    assert report_of(run).heading.endswith("on a real board")


def test_an_estimate_never_passes_for_a_time(run_of):
    run = run_of(measurements=(run_of.estimated("latency", 0.24, 0.06),))
    report = report_of(run)
    assert "not a time" in report.heading
    (cell,) = column(table(report, "answers-virtual"), "Latency")
    assert cell.badge.text == "estimated ±6 %"
    assert "Estimates carry the error" in report.standfirst


def test_kinds_have_columns_of_their_own_and_worlds_have_tables_of_their_own(run_of):
    real = run_of(simulated=False, measurements=(run_of.measured("latency", 0.2),))
    virtual = run_of(measurements=(run_of.estimated("latency", 0.24, 0.06),))
    report = report_of(real, virtual)
    for table_id, kind in (("answers-boards", "measured"), ("answers-virtual", "estimated")):
        latency = [c for c in table(report, table_id).columns if c.title == "Latency"]
        assert [c.badge.kind for c in latency] == [kind]
        assert len(table(report, table_id).rows) == 1
    both = run_of(
        engine="both",
        simulated=False,
        measurements=(run_of.measured("latency", 0.2), run_of.estimated("latency", 0.3, 0.1)),
    )
    titles = [(c.title, c.badge.kind) for c in table(report_of(both), "answers-boards").columns if c.badge]
    assert titles[:2] == [("Latency", "measured"), ("Latency", "estimated")]


def test_bytes_are_exact_and_say_kib_beside(run_of):
    (flash,) = column(table(report_of(run_of()), "answers-virtual"), "Flash")
    assert (flash.text, flash.value, flash.note) == ("333,288 B", 333_288, "325.5 KiB")


def test_several_samples_show_n_and_an_interval(run_of):
    samples = [0.1 + step * 1e-3 for step in range(12)]
    run = run_of(simulated=False, measurements=(run_of.measured("latency", *samples),))
    (latency,) = column(table(report_of(run), "answers-boards"), "Latency")
    assert latency.text == "106 ms"  # the median, 105.5, to three digits, half to even
    assert latency.note == "n = 12, 95 %: 102.0 to 109.0 ms"


@pytest.mark.parametrize(
    ("n", "depth"),
    # Distribution-free limits for the median at 95 %: the k-th sample from either end, for example
    # Conover, Practical Nonparametric Statistics, table A3 (n, 1/2).
    [(6, 1), (8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (50, 18), (100, 40)],
)
def test_the_interval_of_the_median_is_the_tabulated_one(n, depth):
    found = spread([float(sample) for sample in range(1, n + 1)])
    assert (found.low, found.high) == (depth, n + 1 - depth)
    assert found.confidence == 0.95


def test_too_few_samples_give_a_range_and_very_many_no_overflow():
    assert spread([3.0, 1.0, 2.0]).confidence is None
    assert spread([1.0] * 5000).low == 1.0
    many = spread([float(sample) for sample in range(100_000)])
    assert 49_600 < many.low < 49_700 < many.median < 50_300 < many.high < 50_400


def test_only_the_newest_run_of_a_case_is_reported(run_of):
    old, new = run_of(scale=2.0, day=0), run_of(scale=1.0, day=1)
    for runs in ((old, new), (new, old)):
        assert len(table(report_of(*runs), "answers-virtual").rows) == 1
        assert "51.9 M" in report_of(*runs).heading


def test_names_are_no_longer_than_it_takes_to_tell_cases_apart(run_of):
    plain = report_of(run_of(), run_of("kws01"))
    assert [row.cells[2].text for row in table(plain, "answers-virtual").rows] == ["nucleo-f746"] * 2
    slow = run_of(conditions={"clock_hz": 16_000_000})
    apart = report_of(run_of(), slow)
    assert {row.cells[2].text for row in table(apart, "answers-virtual").rows} == {
        "nucleo-f746 (216 MHz)",
        "nucleo-f746 (16 MHz)",
    }


def test_two_models_of_one_name_are_told_apart(run_of):
    one = run_of()
    other = one.model_copy(update={"case": one.case.model_copy(update={"model_sha256": "ab" * 32})})
    names = {row.cells[0].text for row in table(report_of(one, other), "answers-virtual").rows}
    assert len(names) == 2
    assert "vww01 @abababab" in names


def test_a_broken_bench_is_kept_apart_from_a_wrong_model(run_of):
    report = report_of(
        run_of(),
        run_of("kws01", failure=run_of.failure(hint="tinybench doctor", details=("e-[x]",))),
        run_of("ic01", failure=run_of.failure("WrongAnswer", 3, "the output of `zeros` differs"), wrong=True),
    )
    assert [row.cells[0].text for row in table(report, "failures-bench").rows] == ["kws01"]
    assert [row.cells[0].text for row in table(report, "failures-model").rows] == ["ic01"]
    assert report.heading.endswith("; 1 case failed, the bench failed once")
    assert report.tone == "bad"
    (wrong,) = [
        cell for cell in column(table(report, "golden-table"), "Answer") if cell.badge.text == "wrong"
    ]
    assert wrong.note == "zeros, random, structured: off by up to 3"


def test_a_later_failure_does_not_hide_earlier_numbers(run_of):
    report = report_of(run_of(day=0), run_of(day=1, failure=run_of.failure()))
    assert len(table(report, "answers-virtual").rows) == 1
    assert len(table(report, "failures-bench").rows) == 1
    mended = report_of(run_of(day=0, failure=run_of.failure()), run_of(day=1))
    assert not [section for section in mended.sections if section.id == "failures"]


def test_only_failures_and_nothing_at_all(run_of):
    report = report_of(run_of(failure=run_of.failure()))
    assert report.heading == "No numbers: the bench failed once"
    assert next(section.id for section in report.sections) == "failures"
    with pytest.raises(UsageError, match="no runs to report") as caught:
        report_of()
    assert "tinybench run" in caught.value.hint


def test_gaps_have_reasons(run_of):
    gap = Gap(workload="sww01", engine="reference", target="nucleo-f746", reason="lacks operator `SVDF`")
    report = report_of(run_of(), gaps=(gap,))
    assert column(table(report, "gaps-table"), "Reason")[0].text == "lacks operator `SVDF`"


def test_a_transcript_of_megabytes_is_cut_and_says_so(run_of):
    failure = run_of.failure(details=("x" * 10_000_000, *(f"line {n}" for n in range(100_000))))
    (told,) = column(table(report_of(run_of(failure=failure)), "failures-bench"), "What happened")
    assert len(told.note) < 1_000
    assert "(10,000,000 characters)" in told.note
    assert "and 99,993 more lines in the record" in told.note


def test_operators_and_functions_add_up(run_of):
    run = run_of()
    operators = table(report_of(run), "case-1-operators")
    spent = column(operators, "Instructions")
    assert sum(cell.value for cell in spent) == operators.foot[0].cells[3].value
    assert max(cell.share for cell in column(operators, "Share")) == 1
    functions = table(report_of(run), "case-1-functions")
    assert len(functions.rows) == 20
    rest = functions.foot[0].cells[1].value
    total = sum(cell.value for cell in column(functions, "Instructions")) + rest
    assert total == sum(function.instructions for function in run.functions)


def test_estimated_cycles_of_operators_stand_beside_what_was_counted(run_of):
    run = run_of()
    assert "Cycles" not in [column.title for column in table(report_of(run), "case-1-operators").columns]
    operators = tuple(o.model_copy(update={"estimated_cycles": 2 * o.instructions}) for o in run.operators)
    estimate = run_of.estimated("cycles", 2 * sum(o.instructions for o in operators), 0.061, "1")
    run = run.model_copy(update={"operators": operators, "measurements": (*run.measurements, estimate)})
    found = table(report_of(run), "case-1-operators")
    assert found.columns[-2].badge.text == "estimated ±6.1 %"
    assert [cell.value for cell in column(found, "Cycles")] == [o.estimated_cycles for o in operators]
    rates = column(found, "MACs per cycle")
    assert rates[0].value == operators[0].macs / operators[0].estimated_cycles
    assert len(found.foot[0].cells) == len(found.columns)


def test_sections_add_up_to_the_flash(run_of):
    sections = table(report_of(run_of()), "case-1-sections")
    assert sections.foot[0].cells[3].text == "333,288 B"
    assert len(table(report_of(run_of()), "case-1-flash-symbols").rows) == 10


def test_drawings_hold_the_numbers_of_the_run(run_of):
    run = run_of()
    figures = {block.id: block for block in blocks(report_of(run)) if isinstance(block, Figure)}
    ram = figures["ram-figure"].drawing
    assert isinstance(ram, Bars)
    assert sum(series.values[0] for series in ram.series) == run.measurement("ram_peak").samples[0]
    arena = figures["case-1-arena"].drawing
    assert isinstance(arena, Spans)
    assert [(s.low, s.high) for s in arena.spans] == [(b.offset, b.offset + b.bytes) for b in run.arena]


def test_provenance_says_once_what_all_share_and_tables_what_differs(run_of):
    report = report_of(run_of(), run_of(engine="tflm", provenance={"engine_version": "tflm abc"}))
    shared = next(b for b in blocks(report) if isinstance(b, Facts) and b.id == "provenance-shared")
    names = {name for name, _ in shared.pairs}
    assert {"Compiler", "Compile flags", "Host", "Model", "Judged by"} <= names
    assert "Engine version" not in names
    differing = table(report, "provenance-differing")
    assert [cell.text for cell in column(differing, "Engine version")] == ["reference 0.1.0", "tflm abc"]


def test_what_was_not_recorded_is_not_shown(run_of):
    bare = run_of(operators=(), functions=(), arena=(), memory=None)
    report = report_of(bare.model_copy(update={"measurements": ()}))
    assert report.heading == "reference runs vww01 on nucleo-f746 — counted on a virtual board, not a time"
    assert "memory" not in {section.id for section in report.sections}


def test_too_many_cases_for_one_page_are_said_to_be_left_out(run_of):
    report = report_of(*(run_of(f"w{n:04d}", operators=(), functions=(), arena=()) for n in range(130)))
    cases = next(section for section in report.sections if section.id == "cases")
    assert len(cases.folds) == 120
    assert "first 120 of 130 cases" in cases.blocks[0].text
    assert len(table(report, "answers-virtual").rows) == 130


def test_no_estimate_is_shown_without_its_error(run_of):
    """In a fold's headline as in the tables."""
    report = report_of(run_of(measurements=(run_of.estimated("latency", 0.24, 0.06),)))
    folds = [fold for section in report.sections for fold in section.folds]
    assert any("estimated ±6 %: 240 ms" in str(fold) for fold in folds)
