"""What a report is made of, as plain immutable values: sections of tables, figures, facts and paragraphs.

Everything a reader will see is decided here and in the sections; the template only sets it in type.
Text may carry `code` between backticks. Nothing here knows HTML.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tinybench.report.drawings import Drawing

Tone = Literal["plain", "good", "bad", "unsure"]


@dataclass(frozen=True)
class Badge:
    """What kind of number or answer this is, in a word or two."""

    text: str
    kind: Literal["measured", "counted", "estimated", "rehearsed", "simulated", "published", "verdict"]
    tone: Tone = "plain"


@dataclass(frozen=True)
class Cell:
    """One cell: its text, the number behind it, and what accompanies them.

    `value` is in SI units: sorting and CSV use it.
    `note` is secondary text (spread, n, binary size), `share` draws a bar from 0 to 1 behind the number,
    `link` is the id of a place in this report.
    """

    text: str
    value: float | None = None
    note: str = ""
    badge: Badge | None = None
    share: float | None = None
    tone: Tone = "plain"
    link: str = ""


EMPTY = Cell("–")  # noqa: RUF001 - a dash, not a minus


@dataclass(frozen=True)
class Column:
    """A column's title; `unit` is that of the values behind its cells, and makes it a column of numbers."""

    title: str
    unit: str = ""
    badge: Badge | None = None


@dataclass(frozen=True)
class Row:
    """The first cell names the row. `changed` is None where there is nothing to compare with."""

    cells: tuple[Cell, ...]
    changed: bool | None = None


@dataclass(frozen=True)
class Table:
    """Rows that may be sorted and filtered, and a foot (totals, remainders) that stays where it is."""

    id: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    foot: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption; `text` says what it shows to a reader who cannot see it."""

    id: str
    caption: str
    text: str
    drawing: Drawing


@dataclass(frozen=True)
class Facts:
    """Names and values, set as a list of terms."""

    id: str
    caption: str
    pairs: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


Block = Table | Figure | Facts | Paragraph


@dataclass(frozen=True)
class Fold:
    """Blocks about one thing, behind a line that opens and closes."""

    id: str
    title: str
    note: str
    blocks: tuple[Block, ...]
    opened: bool


@dataclass(frozen=True)
class Section:
    """One question and its answer."""

    id: str
    title: str
    blocks: tuple[Block, ...] = ()
    folds: tuple[Fold, ...] = ()


@dataclass(frozen=True)
class Report:
    """The page: a heading that is the answer, one sentence on how far to trust it, then the sections."""

    heading: str
    standfirst: str
    tone: Tone
    sections: tuple[Section, ...]
    written: datetime
    tinybench: str

    def figures(self) -> Iterable[Figure]:
        """Every figure of the page, in reading order."""
        for section in self.sections:
            for blocks in (section.blocks, *(fold.blocks for fold in section.folds)):
                yield from (block for block in blocks if isinstance(block, Figure))
