"""What a report says of two sides, of several engines, and of the past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tinybench.compare import Side, answer_of, compare
from tinybench.report.data import build_report
from tinybench.report.drawings import Bars, Lines, Points
from tinybench.report.page import Figure, Table
from tinybench.results.history import ChangePoint, Series
from tinybench.results.runs import key_of

WRITTEN = datetime(2026, 11, 21, tzinfo=UTC)
CUT = {"cut": "softmax"}


def compared(base, new, **more):
    comparison = compare(
        Side("nightly", tuple(map(answer_of, base))), Side("latest", tuple(map(answer_of, new)))
    )
    return build_report(new, written=WRITTEN, comparison=comparison, base_runs=base, **more)


def blocks(report):
    for section in report.sections:
        yield from section.blocks
        for fold in section.folds:
            yield from fold.blocks


def table(report, table_id) -> Table:
    return next(block for block in blocks(report) if isinstance(block, Table) and block.id == table_id)


def figure(report, figure_id) -> Figure:
    return next(block for block in blocks(report) if isinstance(block, Figure) and block.id == figure_id)


def latency(run_of, median):
    return (run_of.measured("latency", *(median * (1 + step * 1e-3) for step in range(-4, 5))),)


def test_the_verdict_is_the_heading(run_of):
    base = [run_of(simulated=False, measurements=latency(run_of, 0.3))]
    new = [run_of(simulated=False, day=1, measurements=latency(run_of, 0.33))]
    report = compared(base, new)
    assert report.heading.startswith("1 regressed, 9 unchanged")
    assert "latest against nightly" in report.heading
    assert "worst: latency of vww01 reference nucleo-f746, +10.0 % [" in report.heading
    assert report.tone == "bad"


def test_no_regression_says_so_and_is_good(run_of):
    base, new = [run_of()], [run_of(day=1)]
    report = compared(base, new)
    assert report.heading == "No regression: 9 unchanged — latest against nightly"
    assert report.tone == "good"
    assert [row.changed for row in table(report, "answers-virtual").rows] == [False]


def test_what_changed_comes_largest_first_with_effect_and_interval_together(run_of):
    base = [run_of(w, simulated=False, measurements=latency(run_of, 0.3)) for w in ("vww01", "kws01")]
    new = [
        run_of("vww01", simulated=False, day=1, measurements=latency(run_of, 0.3), scale=1.02),
        run_of("kws01", simulated=False, day=1, measurements=latency(run_of, 0.2)),
    ]
    rows = table(compared(base, new), "changes-table").rows
    told = [(row.cells[0].text, row.cells[3].text, row.cells[7].badge.text) for row in rows]
    assert told == [
        ("kws01", "Latency", "improved"),
        ("vww01", "Instructions per inference", "regressed"),
        ("vww01", "Flash", "improved"),
    ]
    change = rows[0].cells[6]
    assert change.text == "-33.3 %"
    assert change.note.startswith("[-3")
    assert change.note.endswith("-100 ms")
    assert rows[1].cells[6].note.startswith("exact\n+")
    assert all(row.changed for row in rows)


def test_what_may_not_be_compared_names_the_field_and_has_no_percentage(run_of):
    base = [run_of()]
    new = [run_of(day=1, conditions={"caches": "off"}, scale=2.0)]
    report = compared(base, new)
    (row,) = table(report, "changes-incomparable").rows
    assert row.cells[3].badge.text == "incomparable"
    assert "`caches` differs" in row.cells[4].text
    assert "%" not in row.cells[4].text
    assert report.tone == "unsure"
    assert not report.heading.startswith("No regression")


def test_new_and_missing_cases_are_apart(run_of):
    report = compared([run_of("kws01")], [run_of("vww01")])
    words = {row.cells[0].text: row.cells[3].badge.text for row in table(report, "changes-one-sided").rows}
    assert words == {"kws01": "missing", "vww01": "new"}


def test_operators_that_changed_are_marked(run_of):
    base, new = run_of(), run_of(day=1)
    dearer = new.operators[4].model_copy(update={"instructions": new.operators[4].instructions + 1000})
    new = new.model_copy(update={"operators": (*new.operators[:4], dearer, *new.operators[5:])})
    changed = [row for row in table(compared([base], [new]), "operator-changes-1-table").rows if row.changed]
    assert [row.cells[0].value for row in changed] == [4]
    assert changed[0].cells[4].note == "+1,000"


def test_how_the_sides_were_made_is_compared_field_by_field(run_of):
    base = [run_of(w) for w in ("vww01", "kws01")]
    new = [run_of(w, day=1, provenance={"engine_version": "reference 0.2.0"}) for w in ("vww01", "kws01")]
    rows = table(compared(base, new), "origins-table").rows
    assert [[cell.text for cell in row.cells] for row in rows] == [
        ["Engine version", "reference 0.1.0", "reference 0.2.0", "every case"]
    ]
    alike = compared([run_of()], [run_of(day=1)])
    (section,) = [section for section in alike.sections if section.id == "origins"]
    assert "the same on both sides" in section.blocks[0].text


def test_a_baseline_without_its_runs_still_compares(run_of):
    base, new = [run_of()], [run_of(day=1, scale=1.5)]
    comparison = compare(Side("b", tuple(map(answer_of, base))), Side("n", tuple(map(answer_of, new))))
    report = build_report(new, written=WRITTEN, comparison=comparison)
    assert "1 regressed" in report.heading
    assert "origins" not in {section.id for section in report.sections}


def test_only_what_is_missing_can_be_reported_too(run_of):
    comparison = compare(Side("b", (answer_of(run_of()),)), Side("n", ()))
    report = build_report((), written=WRITTEN, comparison=comparison)
    assert report.heading == "9 missing — n against b"


@pytest.fixture
def engines(run_of):
    return [
        run_of(w, e, scale=s)
        for w in ("vww01", "kws01")
        for e, s in (("reference", 1.0), ("tflm", 2.0), ("cmsis-nn", 0.5))
    ]


def test_the_matrix_is_over_a_chosen_engine_with_the_geometric_mean(engines):
    matrix = table(build_report(engines, written=WRITTEN), "matrix-1")
    assert [column.title for column in matrix.columns] == ["Workload", "reference", "cmsis-nn", "tflm"]
    assert "how many times fewer than reference" in matrix.caption
    assert [cell.text for cell in matrix.foot[0].cells] == ["Geometric mean", "1.00 ×", "2.00 ×", "0.50 ×"]  # noqa: RUF001 - the page says it so
    other = table(build_report(engines, written=WRITTEN, against="tflm"), "matrix-1")
    assert [cell.text for cell in other.foot[0].cells][1:] == ["1.00 ×", "4.00 ×", "2.00 ×"]  # noqa: RUF001 - the page says it so


def test_the_matrix_names_compiler_and_optimisation_of_what_it_is_over(engines):
    caption = table(build_report(engines, written=WRITTEN), "matrix-1").caption
    toolchain = engines[0].provenance.toolchain
    level = next(flag for flag in toolchain.compile_flags if flag.startswith("-O"))
    assert caption.endswith(f"than reference ({toolchain.name} {toolchain.version} {level})")


def test_a_cut_model_is_a_workload_of_its_own_and_its_engines_keep_their_names(run_of):
    runs = [run_of(w, e, options=o) for e in ("reference", "tflm") for w, o in (("ad01", {}), ("vww01", CUT))]
    matrix = table(build_report([*runs, run_of("vww01", "reference")], written=WRITTEN), "matrix-1")
    assert [column.title for column in matrix.columns] == ["Workload", "reference", "tflm"]
    assert [row.cells[0].text for row in matrix.rows] == ["ad01", "vww01", "vww01 without SOFTMAX"]


def test_the_matrix_counts_only_workloads_that_both_engines_ran(engines):
    matrix = table(build_report(engines[:-1], written=WRITTEN), "matrix-1")
    assert matrix.foot[0].cells[2].note == "over 1 of 2 workloads"


def test_a_matrix_holds_one_metric_of_one_kind(run_of):
    mixed = [
        run_of(engine="reference", simulated=False, measurements=(run_of.measured("latency", 0.2),)),
        run_of(engine="tflm", simulated=False, measurements=(run_of.estimated("latency", 0.1, 0.1),)),
    ]
    assert (
        "instructions per inference (counted)"
        in table(build_report(mixed, written=WRITTEN), "matrix-1").caption
    )


def test_virtual_and_real_boards_never_share_a_matrix_or_a_front(run_of):
    runs = [run_of(engine=e, simulated=s) for e in ("reference", "tflm") for s in (True, False)]
    report = build_report(runs, written=WRITTEN)
    matrices = [b.caption for b in blocks(report) if isinstance(b, Table) and b.id.startswith("matrix-")]
    assert len(matrices) == 2
    assert not [section for section in report.sections if section.id == "tradeoffs"]


def test_the_front_holds_what_no_other_case_beats(run_of):
    def run(engine, latency_s, energy_j, accuracy):
        return run_of(
            engine=engine,
            simulated=False,
            measurements=(
                run_of.measured("latency", latency_s),
                run_of.measured("energy", energy_j, unit="J"),
                run_of.measured("accuracy", accuracy, unit="1"),
            ),
        )

    runs = [run("fast", 0.1, 0.5, 0.8), run("frugal", 0.5, 0.1, 0.8), run("bad", 0.6, 0.6, 0.7)]
    runs.append(run("accurate", 0.7, 0.7, 0.9))
    report = build_report(runs, written=WRITTEN)
    rows = table(report, "tradeoffs-1-table").rows
    unbeaten = {row.cells[0].text for row in rows if row.cells[-1].badge}
    assert unbeaten == {"fast", "frugal", "accurate"}
    assert rows[-1].cells[0].text == "bad"
    drawing = figure(report, "tradeoffs-1-energy").drawing
    assert isinstance(drawing, Points)
    assert {point.group for point in drawing.points if not point.front} == {"bad"}
    drawn = {b.id for b in blocks(report) if isinstance(b, Figure)}
    assert "tradeoffs-1-ram_peak" not in drawn  # all alike: a line tells nothing


def test_operators_stand_side_by_side(engines):
    report = build_report(engines[:3], written=WRITTEN)
    drawing = figure(report, "operators-1-figure").drawing
    assert isinstance(drawing, Bars)
    assert not drawing.stacked
    assert [series.name for series in drawing.series] == ["cmsis-nn", "reference", "tflm"]
    totals = [cell.value for cell in table(report, "operators-1-table").foot[0].cells[2:]]
    assert totals == [sum(series.values) for series in drawing.series]


def test_the_past_is_a_line_with_its_change_points(run_of):
    run = run_of()
    days = [WRITTEN - timedelta(days=20 - day) for day in range(20)]
    series = Series(
        key_of(run.case),
        "066BFF",
        "latency",
        "s",
        "measured",
        tuple(days),
        tuple(f"r{n}" for n in range(20)),
        (0.1,) * 12 + (0.11,) * 8,
        (ChangePoint(12, "r12", days[12], 0.1, 0.11),),
    )
    report = build_report([run], written=WRITTEN, past=[series])
    shown = figure(report, "past-1")
    assert (
        shown.caption == "Latency of vww01 reference nucleo-f746 on 066BFF (measured): +10.0 % on 2026-11-13"
    )
    assert isinstance(shown.drawing, Lines)
    assert shown.drawing.marks == (days[12].timestamp(),)
    (row,) = table(report, "past-table").rows
    assert row.cells[-1].text == "+10.0 %"
