"""What a board's TOML says about its debug port: the `[probe]` table."""

from __future__ import annotations

from pydantic import Field, ValidationError

from tinybench.errors import UsageError
from tinybench.records import Record
from tinybench.target import Target


class ChipId(Record):
    """A register that names the chip: read once after connecting, before anything is written."""

    address: int
    mask: int = 0xFFFFFFFF
    values: tuple[int, ...] = Field(min_length=1)
    name: str


class Sectors(Record):
    """`count` sectors of `bytes` each, in the order they lie in flash."""

    count: int = Field(gt=0)
    bytes: int = Field(gt=0)


class Algorithm(Record):
    """Our own flash algorithm for a chip that pyOCD does not know: its source, and the flash's layout."""

    source: str = Field(description="C file in device_adapters/pyocd_probe/algorithms/")
    flash_origin: int
    sectors: tuple[Sectors, ...] = Field(min_length=1)
    page_bytes: int = Field(gt=0)
    armv6m: bool = False
    ram_origin: int
    ram_bytes: int = Field(gt=0)

    @property
    def flash_bytes(self) -> int:
        """All sectors together."""
        return sum(group.count * group.bytes for group in self.sectors)


class ProbeFacts(Record):
    """The `[probe]` table."""

    pyocd_targets: tuple[str, ...] = Field(min_length=1, description="pyOCD's names of the chip, best first")
    board_ids: tuple[str, ...] = Field(default=(), description="first four digits of the probe's MBED id")
    chip_id: ChipId
    algorithm: Algorithm | None = None


def probe_facts(target: Target) -> ProbeFacts | None:
    """The target's validated `[probe]` table, or None if it has none. Raises UsageError naming the field."""
    if target.probe is None:
        return None
    try:
        return ProbeFacts.model_validate(target.probe)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"board `{target.name}`: probe.{where}: {first['msg']}") from error
