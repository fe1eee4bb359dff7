"""An in-order pipeline: when does each instruction issue, and what does it wait for?

One algorithm for all cores; what differs is in their tables (`core.py`). Memories have no wait states here
(`memory.py` adds what they cost), and branches are predicted right where a core predicts (`pipeline.py` adds
the rest). Times are issue cycles; a block costs the distance between the last issue before it and its own
last issue, so that what one block leaves unfinished is paid for by the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tinybench.timing.core import CoreTiming
from tinybench.timing.program import FLAGS, PC, Instruction, Shape

REASONS = ("issue", "operand", "load", "multiple", "divide", "branch", "fetch")
"""What a cycle passes for: `issue` is an instruction's own first, `multiple` the further ones of LDM."""

_ISSUE, _OPERAND, _LOAD, _MULTIPLE, _DIVIDE, _BRANCH, _FETCH = range(len(REASONS))
_PLAIN, _EARLY, _ACCUMULATOR, _STORED, _FACTOR, _FP_ACCUMULATOR = range(6)
_MULTIPLY = ("mul", "mac", "mul-long", "mac-long")
_FP = ("fp-add", "fp-mul", "fp-mac", "fp-fma", "fp-div", "fp-sqrt", "fp-convert")
_GROUPS = (
    dict.fromkeys(_MULTIPLY, "multiply")
    | dict.fromkeys(_FP, "fp")
    | {"fp-load": "load", "fp-store": "store", "dsp": "bits"}
)
_HIDES_A_LOAD = ("load", "store", "fp-load", "fp-store", "nop")
_REGISTERS = 49
_FLAGS_REGISTER = FLAGS.bit_length() - 1
_CONTEXT = 24
_LONG_AGO = -1000
_NARROW = 2
_BEFORE_TAKEN = 2
_FETCH_TAKES = 2


class Cost(NamedTuple):
    """Cycles of a block after another, and the same by reason (`REASONS`, in their order)."""

    cycles: int
    reasons: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Op:
    """An instruction as one core sees it; times in cycles after its issue, `reads` as (register, role)."""

    shape: Shape
    group: str
    reads: tuple[tuple[int, int], ...]
    writes: tuple[int, ...]
    base: tuple[int, ...]
    ready: int
    early: int
    busy: int
    because: int
    starts_early: bool


class _State:
    """Where a pipeline is: the last issue, what may issue next and when, what is ready, and fetching.

    `ready` is for plain operands, `early` for addresses and shifters. `words` says when a word of code
    reaches the buffer, `freed` when it left it.
    """

    __slots__ = (
        "at", "because", "bubble", "early", "elsewhere", "first", "freed", "from_load", "loaded_at", "narrow",
        "next", "older", "ready", "reasons", "refill", "words",
    )  # fmt: skip

    def __init__(self) -> None:
        self.at = 0
        self.next = 1
        self.because = _ISSUE
        self.refill = 0
        self.bubble = 0
        self.elsewhere = False
        self.older: _Op | None = None
        self.first: _Op | None = None
        self.ready = [_LONG_AGO] * _REGISTERS
        self.early = [_LONG_AGO] * _REGISTERS
        self.from_load = [False] * _REGISTERS
        self.loaded_at = [_LONG_AGO] * _REGISTERS
        self.narrow = 0
        self.words: dict[int, int] = {}
        self.freed: dict[int, int] = {}
        self.reasons = [0] * len(REASONS)


class Scoreboard:
    """The pipeline of one core."""

    def __init__(self, core: CoreTiming, elsewhere: frozenset[int] = frozenset()) -> None:
        """`elsewhere`: addresses of loads and stores that go to another memory than most (flash, not RAM)."""
        self.core = core
        self._elsewhere = elsewhere
        self._ops: dict[Shape, _Op] = {}
        self._rules = {name: int(rule.cycles) for name, rule in core.rule.items()}
        self._bubble = self._rules.get("load_bubble", 0)
        self._late = {
            _ACCUMULATOR: int(core.constant(core.operand, "accumulates")),
            _FP_ACCUMULATOR: int(core.constant(core.operand, "fp-accumulates")),
            _STORED: int(core.constant(core.operand, "stored")),
        }
        self._load_to_factor = self._rules.get("load_to_factor", 0)
        self._address_extra = int(core.constant(core.operand, "addressing"))
        self._never = {frozenset(pair) for pair in core.pairing.never}
        self._fetch_bytes = core.fetch.bytes_per_cycle
        self._buffer = core.fetch.buffer_words

    def cost(self, before: Sequence[Instruction], block: Sequence[Instruction], *, taken: bool) -> Cost:
        """Cycles of `block` when it runs after `before` (maybe empty), entered by a taken branch or not."""
        state = self._after(before)
        start = state.at
        state.reasons = [0] * len(REASONS)
        if taken and block:
            self._redirect(state, block[0].address)
        for instruction in block:
            self._issue(state, instruction)
        return Cost(state.at - start, tuple(state.reasons))

    def trace(
        self, before: Sequence[Instruction], block: Sequence[Instruction], *, taken: bool
    ) -> Iterator[tuple[Instruction, Cost]]:
        """The same, instruction by instruction."""
        state = self._after(before)
        if taken and block:
            self._redirect(state, block[0].address)
        for instruction in block:
            start = state.at
            state.reasons = [0] * len(REASONS)
            self._issue(state, instruction)
            yield instruction, Cost(state.at - start, tuple(state.reasons))

    def _after(self, before: Sequence[Instruction]) -> _State:
        state = _State()
        for instruction in before[-_CONTEXT:]:
            self._issue(state, instruction)
        return state

    # --- issue ---

    def _issue(self, state: _State, instruction: Instruction) -> None:
        shape = instruction.shape
        op = self._ops.get(shape)
        if op is None:
            op = self._ops[shape] = self._prepared(shape)
        if shape.kind == "it" and self._folds(state):
            self._decode(state, instruction, state.at)
            return
        entered = state.at
        pairs = self.core.width > 1 and self._may_pair(state, op)
        due = state.next - 1 if pairs else state.next + state.refill
        elsewhere = instruction.address in self._elsewhere
        at, reason = self._earliest(state, op, due, apart=elsewhere != state.elsewhere)
        if self._fetch_bytes:
            fetched = self._fetched(state, instruction.address, shape.size)
            if fetched > at:
                at, reason = fetched, _FETCH
        if pairs and at >= state.next:
            pairs = False
        due = state.next - 1 if pairs else state.next + state.refill
        self._book(state, due, at, reason, pairs=pairs)
        self._decode(state, instruction, entered)
        self._retire(state, op, at, pairs=pairs)
        state.elsewhere = elsewhere

    def _earliest(self, state: _State, op: _Op, due: int, *, apart: bool) -> tuple[int, int]:
        """The first cycle from `due` in which all operands are there, and what was waited for."""
        at, reason = due, _OPERAND
        for register, role in op.reads:
            if role == _EARLY:
                known = state.early[register]
            elif role == _PLAIN:
                known = state.ready[register]
            elif role == _FACTOR:
                known = max(state.ready[register], state.loaded_at[register] + self._load_to_factor)
            else:
                known = state.ready[register] + self._late[role]
            if known > at:
                at = known
                reason = _LOAD if state.from_load[register] else _OPERAND
        hidden = op.shape.kind in _HIDES_A_LOAD and at == due and not (apart and op.shape.access_bytes)
        if state.bubble and not hidden and at < due + state.bubble:
            return due + state.bubble, _LOAD
        return at, reason

    def _book(self, state: _State, due: int, at: int, reason: int, *, pairs: bool) -> None:
        """Say what the cycles since the last issue passed for."""
        reasons = state.reasons
        own = due - state.at - (0 if pairs else state.refill)
        if not pairs:
            reasons[_BRANCH] += state.refill
            reasons[_ISSUE] += 1
            own -= 1
        reasons[state.because] += own
        reasons[reason] += at - due

    def _retire(self, state: _State, op: _Op, at: int, *, pairs: bool) -> None:
        kind = op.shape.kind
        ready, early = at + op.ready, at + op.early
        if op.starts_early and not (pairs and kind == "add") and _all_early(state, op, at):
            ready, early = ready - 1, early - 1
        loaded = op.shape.loads
        for register in op.writes:
            state.ready[register] = ready
            state.early[register] = early
            state.from_load[register] = loaded
            state.loaded_at[register] = at if loaded else _LONG_AGO
        for register in op.base:
            state.ready[register] = at + 1
            state.early[register] = at + 1 + (self._address_extra if self.core.width == 1 else 0)
            state.from_load[register] = False
            state.loaded_at[register] = _LONG_AGO
        busy = op.busy
        if kind in ("load", "fp-load", "load-pair", "load-many") and self._stored_before(state):
            busy += self._rules.get("store_then_load", 0)
        state.bubble = self._bubble if kind in ("load", "fp-load") else 0
        state.next = at + busy
        state.because = op.because
        state.refill = 0
        state.at = at
        state.first = None if pairs else op
        state.older = op
        state.narrow = state.narrow + 1 if op.shape.size == _NARROW else 0

    def _stored_before(self, state: _State) -> bool:
        return state.older is not None and state.older.shape.kind in ("store", "fp-store")

    def _folds(self, state: _State) -> bool:
        older = state.older
        return bool(self._rules.get("it_folds")) and older is not None and older.shape.size == _NARROW

    # --- two at a time ---

    def _may_pair(self, state: _State, op: _Op) -> bool:
        """Whether `op` may issue in the (last) cycle of the instruction before it."""
        first, rules = state.first, self.core.pairing
        if first is None or state.refill:
            return False
        if rules.narrow_only and (first.shape.size != _NARROW or op.shape.size != _NARROW):
            return False
        if rules.younger:
            return op.group in rules.younger or first.group == "nop"
        if first.group in rules.alone or op.group in rules.alone or op.group in rules.older_only:
            return False
        return frozenset((first.group, op.group)) not in self._never

    # --- branches and fetching ---

    def _redirect(self, state: _State, target: int) -> None:
        """A taken branch: the refill, and an empty buffer."""
        state.refill = self._refill(state)
        follows = self._rules.get("taken_pairs", 0) and not state.refill and state.narrow > _BEFORE_TAKEN
        if not follows:
            state.first = None
        state.words.clear()
        state.freed.clear()
        if self._fetch_bytes:
            state.words[target // self._fetch_bytes] = state.next + state.refill - (2 if follows else 1)

    def _refill(self, state: _State) -> int:
        branch, constants = state.older, self.core.branch
        if branch is None or not branch.shape.jumps:
            return int(constants["direct"].cycles)
        kind = branch.shape.kind
        if kind == "branch":
            late = branch.shape.reads & FLAGS and state.ready[_FLAGS_REGISTER] > state.at
            return int(constants["direct"].cycles) + (self._rules.get("flags_then_taken", 0) if late else 0)
        if kind == "call":
            return int((constants.get("call") or constants["direct"]).cycles)
        if kind == "table-branch":
            return int(constants["table"].cycles)
        return int(constants["load" if branch.shape.loads else "register"].cycles)

    def _fetched(self, state: _State, address: int, size: int) -> int:
        """The first cycle in which an instruction can issue: the one after all its bytes can be decoded."""
        first, last = address // self._fetch_bytes, (address + size - 1) // self._fetch_bytes
        return max(self._word(state, first), self._word(state, last)) + 1

    def _word(self, state: _State, word: int) -> int:
        """When a word of code is in the buffer: one a cycle, two cycles after its place was free.

        A fetch unit that has stood still because its buffer was full starts a cycle later.
        """
        known = state.words.get(word)
        if known is None:
            known = state.words.get(word - 1, _LONG_AGO) + 1
            free = (
                state.freed.get(word - self._buffer, _LONG_AGO) + _FETCH_TAKES if self._buffer else _LONG_AGO
            )
            if free > known:
                known = free + 1
            state.words[word] = known
        return known

    def _decode(self, state: _State, instruction: Instruction, entered: int) -> None:
        """The instruction leaves the buffer when the one before it issues."""
        if not self._buffer:
            return
        end = instruction.address + instruction.shape.size
        word = instruction.address // self._fetch_bytes
        while (word + 1) * self._fetch_bytes <= end:
            state.freed[word] = max(entered, state.words.get(word, _LONG_AGO))
            word += 1

    # --- preparation ---

    def _prepared(self, shape: Shape) -> _Op:
        core = self.core
        busy = self._busy(shape)
        key = "shifted" if shape.shifted and "shifted" in core.latency else self._latency_key(shape)
        latency = core.constant(core.latency, key)
        ready = int(latency) + (busy if shape.kind == "load-many" else 0)
        base = shape.addressing & shape.writes if shape.writeback else 0
        writes = shape.writes & ~PC & ~base
        return _Op(
            shape=shape,
            group="shifted" if shape.shifted else _GROUPS.get(shape.kind, shape.kind),
            reads=tuple(self._roles(shape)),
            writes=_bits(writes),
            base=_bits(base),
            ready=ready,
            early=ready + self._address_extra,
            busy=busy,
            because=_DIVIDE if shape.kind in ("div", "fp-div", "fp-sqrt") else _MULTIPLE,
            starts_early="early" in core.operand and shape.kind in ("add", "shift") and not shape.shifted,
        )

    def _busy(self, shape: Shape) -> int:
        core = self.core
        busy = core.constant(core.busy, shape.kind)
        each = core.busy.get(f"{shape.kind}:each")
        if each is not None:
            busy += each.cycles * shape.transfers
        if shape.kind == "mul" and shape.size == _NARROW and shape.writes & FLAGS:
            busy += self._rules.get("narrow_muls", 0)
        if shape.kind == "store" and shape.register_offset:
            busy += self._rules.get("store_register_offset", 0)
        return max(1, math.ceil(busy))

    def _latency_key(self, shape: Shape) -> str:
        narrow = shape.kind == "load" and shape.access_bytes < 4  # noqa: PLR2004 - a word
        return "load:narrow" if narrow and "load:narrow" in self.core.latency else shape.kind

    def _roles(self, shape: Shape) -> Iterator[tuple[int, int]]:
        operand = self.core.operand
        reads = shape.reads & ~PC
        if self.core.width > 1 and shape.kind == "branch":
            reads &= ~FLAGS
        for register in _bits(reads):
            bit = 1 << register
            role = _PLAIN
            if bit & shape.addressing:
                role = _EARLY if "addressing" in operand else _PLAIN
            elif bit & shape.stored:
                role = _STORED
            elif bit & shape.early and "early" in operand:
                role = _EARLY
            elif bit & shape.accumulates:
                role = _FP_ACCUMULATOR if shape.kind in _FP else _ACCUMULATOR
            elif shape.kind in _MULTIPLY:
                role = _FACTOR
            yield register, role


def _all_early(state: _State, op: _Op, at: int) -> bool:
    return all(state.early[register] <= at for register, _ in op.reads)


def _bits(mask: int) -> tuple[int, ...]:
    return tuple(index for index in range(_REGISTERS) if mask >> index & 1)
