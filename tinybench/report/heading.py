"""The answer in one line, and in a second line how far to trust it."""

from __future__ import annotations

from collections.abc import Iterable

from tinybench.records import Run
from tinybench.report.material import Material
from tinybench.report.page import Tone
from tinybench.report.quantities import in_words, kind_badge
from tinybench.report.sections import changes
from tinybench.report.sections.failures import of_the_bench
from tinybench.report.speed import SPEED
from tinybench.report.subjects import Subject


def heading(material: Material) -> str:
    """`reference runs vww01 on nucleo-f746 in 41.2 M instructions, 67 kB RAM, 330 kB flash: counted on …`."""
    if material.comparison is not None:
        return changes.heading(material.comparison)
    if not material.subjects:
        return f"No numbers: {_failures(material) or 'nothing was run'}"
    text = _one(material.subjects[0]) if len(material.subjects) == 1 else _many(material)
    failures = _failures(material)
    return f"{text}; {failures}" if failures else text


def standfirst(material: Material) -> str:
    """How many cases, when, and what must not be read into the numbers."""
    parts = [_number(len(material.subjects), "case") + " with numbers"]
    if material.gaps:
        parts.append(_number(len(material.gaps), "case") + " not run")
    dates = sorted({f"{s.run.provenance.started:%Y-%m-%d}" for s in (*material.subjects, *material.failures)})
    if dates:
        parts.append(dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}")
    sentences = [", ".join(parts) + "."]
    if any(subject.simulated for subject in material.subjects):
        sentences.append(
            "Instructions and bytes of a virtual board are exact counts; how long a real board takes for "
            "them depends on its caches, buses and wait states, and is not said here."
        )
    if any(subject.synthetic for subject in material.subjects):
        sentences.append("Synthetic weights are good for speed and memory only: their answers mean nothing.")
    if any(m.kind == "rehearsed" for subject in material.subjects for m in subject.run.measurements):
        sentences.append("Times that were rehearsed on a virtual desk are of no board, and are left out.")
    if any(m.kind == "estimated" for subject in material.subjects for m in subject.run.measurements):
        sentences.append("Estimates carry the error with which their model was validated.")
    return " ".join(sentences)


def tone(material: Material) -> Tone:
    """Bad where something failed, plain otherwise: without a comparison nothing is good."""
    if material.comparison is not None:
        return changes.tone(material.comparison)
    return "bad" if material.failures else "plain"


def _one(subject: Subject) -> str:
    run = subject.run
    found = [words for words in (_speed(run), *_sizes(run)) if words]
    amounts = f" in {', '.join(found)}" if found else ""
    return f"{subject.engine} runs {subject.workload} on {subject.device}{amounts} — {_nature([subject])}"


def _many(material: Material) -> str:
    workloads = sorted({subject.workload for subject in material.subjects})
    engines = sorted({subject.engine for subject in material.subjects})
    devices = sorted({subject.device for subject in material.subjects})
    who = engines[0] if len(engines) == 1 else f"{len(engines)} engines"
    verb = "runs" if len(engines) == 1 else "run"
    where = devices[0] if len(devices) == 1 else f"{len(devices)} devices"
    what = workloads[0] if len(workloads) == 1 else f"{len(workloads)} workloads"
    reach = _reach(material.subjects)
    return f"{who} {verb} {what} on {where}{reach} — {_nature(material.subjects)}"


def _reach(subjects: Iterable[Subject]) -> str:
    """The least and the most of the speed that all of them share, if they share one."""
    chosen = list(subjects)
    for metric, kind in SPEED:
        found = [m for s in chosen for m in s.run.measurements if m.metric == metric and m.kind == kind]
        if len(found) == len(chosen):
            least = min(found, key=lambda m: min(m.samples))
            most = max(found, key=lambda m: min(m.samples))
            if in_words(least) == in_words(most):
                return f" in {in_words(least)}"
            return f" in {in_words(least).split(' instructions')[0]} to {in_words(most)}"
    return ""


def _speed(run: Run) -> str:
    for metric, kind in SPEED:
        for measurement in run.measurements:
            if (measurement.metric, measurement.kind) == (metric, kind):
                if kind != "estimated":
                    return in_words(measurement)
                error = kind_badge("estimated", measurement).text.removeprefix("estimated ")
                return f"an estimated {in_words(measurement)} ({error})"
    return ""


def _sizes(run: Run) -> list[str]:
    return [in_words(m) for m in (run.measurement("ram_peak"), run.measurement("flash")) if m is not None]


def _nature(subjects: Iterable[Subject]) -> str:
    worlds = {subject.simulated for subject in subjects}
    if worlds == {True}:
        return "counted on a virtual board, not a time"
    if worlds == {False}:
        return "on real boards" if len(list(subjects)) > 1 else "on a real board"
    return "on real and on virtual boards, which are not compared"


def _failures(material: Material) -> str:
    bench = sum(1 for s in material.failures if s.run.failure is not None and of_the_bench(s.run.failure))
    model = len(material.failures) - bench
    told = []
    if model:
        told.append(f"{_number(model, 'case')} failed")
    if bench:
        told.append(f"the bench failed {'once' if bench == 1 else f'{bench} times'}")
    return ", ".join(told)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
