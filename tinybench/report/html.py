"""A report as one HTML file: no network, complete without JavaScript, the same bytes for the same values."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from tinybench.compare import Comparison
from tinybench.errors import UsageError
from tinybench.records import Gap, Run
from tinybench.report.data import build_report
from tinybench.report.page import Cell, Report
from tinybench.results.history import Series
from tinybench.results.published import Peers

if TYPE_CHECKING:
    from markupsafe import Markup

# Nothing may be fetched: not by us, not by plotly.js, not through a name that a model file brought along.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)

_QUANTITY = re.compile(r"(\d[\d.,]* (?:[GMk]|[GMkmµnp]?(?:B|s|J|Hz)|%)(?![\w-]))")


def write_report(
    runs: Sequence[Run],
    path: Path,
    *,
    gaps: Sequence[Gap] = (),
    comparison: Comparison | None = None,
    base_runs: Sequence[Run] = (),
    past: Sequence[Series] = (),
    against: str | None = None,
    published: Sequence[Peers] = (),
) -> Report:
    """Write the report of `runs` to `path`, and return what it says; the rest is as in `build_report`.

    SOURCE_DATE_EPOCH, where set, is the time the page gives as its own, so that equal runs make equal bytes.
    Raises UsageError where there is nothing to report or `path` cannot be written.
    """
    report = build_report(
        runs,
        written=time_of_writing(),
        gaps=gaps,
        comparison=comparison,
        base_runs=base_runs,
        past=past,
        against=against,
        published=published,
    )
    try:
        path.write_text(render(report), encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(
            f"cannot write the report to `{path}`: {error.strerror}", hint="name another file with `-o`"
        ) from error
    return report


def time_of_writing() -> datetime:
    """Now, or SOURCE_DATE_EPOCH (reproducible-builds.org)."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)


def render(report: Report) -> str:
    """The page. Values are escaped by the template engine, the figures' JSON by `_json`."""
    import jinja2

    from tinybench.report import svg
    from tinybench.report.figures import plotly_spec

    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.PackageLoader("tinybench", "report"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["prose"] = _prose
    environment.filters["kept_together"] = _kept_together
    environment.filters["hidden_value"] = _hidden_value
    environment.filters["drawn"] = lambda figure: _trusted(svg.draw(figure.drawing, figure.text))
    figures = {figure.id: plotly_spec(figure.drawing) for figure in report.figures()}
    licence, plotly = _plotly() if figures else ("", "")
    page = environment.get_template("report.html.j2").render(
        report=report,
        policy=POLICY,
        css=_trusted(_part("report.css")),
        js=_trusted(_part("report.js")),
        figures=_trusted(_json(figures)) if figures else "",
        plotly=plotly,
        plotly_licence=licence,
    )
    return re.sub(r"\n\s*\n+", "\n", page)


def _prose(text: str) -> Markup:
    """Text with `code` between backticks, escaped."""
    from markupsafe import Markup, escape

    pieces = text.split("`")
    if len(pieces) % 2 == 0:  # an odd backtick is a backtick
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if index % 2 else escape(piece)
        for index, piece in enumerate(pieces)
    )


def _hidden_value(cell: Cell) -> str:
    """The number behind a cell whose text does not show it exactly; `report.js` reads the others."""
    if cell.value is None or cell.text.removesuffix(" B").replace(",", "") == str(cell.value):
        return ""
    return f"{cell.value:.9g}"


def _kept_together(text: str) -> Markup:
    """Escaped text in which no line ends between a number and its unit."""
    from markupsafe import Markup, escape

    pieces = _QUANTITY.split(text)  # the odd pieces are the quantities
    return Markup("").join(
        Markup('<span class="quantity">{}</span>').format(piece) if index % 2 else escape(piece)
        for index, piece in enumerate(pieces)
    )


def _json(value: object) -> str:
    """JSON that may stand inside a script element: `<`, `>` and `&` are written as escapes."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for letter, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(letter, escaped)
    return text


def _trusted(text: str) -> Markup:
    """Our own style, script or drawing, or escaped JSON."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - files of this package, output of `_json` or of `svg.draw`


def _part(name: str) -> str:
    return files("tinybench.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _plotly() -> tuple[str, str]:
    """plotly.js as it is embedded: its licence notice, and its text compressed to a third (gzip, base64).

    Figures are drawn without it as well, so the page unpacks it only when a figure comes into view.
    """
    from tinybench.report.figures import plotly_source

    source = plotly_source()
    notice = re.match(r"\s*/\*\*?(.*?)\*/", source, re.DOTALL)
    licence = " ".join(notice[1].replace("*", " ").split()) if notice else "plotly.js, MIT licence"
    return licence, base64.b64encode(gzip.compress(source.encode(), 9, mtime=0)).decode()
