"""Where activations lie: tensor lifetimes, and plans that place them in one arena."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations

from tinybench.model import Model, Operator, tensor_bytes
from tinybench.models.tflm_scratch import scratch_bytes
from tinybench.records import ArenaBuffer

# Both TFLM (micro_arena_constants.h) and our engines start every buffer at a multiple of this.
ALIGNMENT_BYTES = 16

# Up to this many buffers every order is tried, so that the plan is the best there is.
_FEW = 6

# Which inputs (by position) an operator may overwrite with its output, as its engine's kernels allow.
InPlace = Callable[[Operator], Iterable[int]]


@dataclass(frozen=True)
class ArenaPlan:
    """Placed buffers, in order of tensor index, and the bytes they need together.

    `tensors` are the buffers' tensors; `in_place` are the pairs (input, output) of tensors that share memory
    because the operator between them works in place.
    """

    buffers: tuple[ArenaBuffer, ...]
    bytes: int
    tensors: tuple[int, ...] = ()
    in_place: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Lifetime:
    """From which operator to which one an activation's bytes are needed, both included.

    A model's input is needed from the first operator on and no longer than its last reader: whoever runs the
    model writes the input anew before each inference. An output is needed to the end.
    """

    tensor: int
    bytes: int
    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        """Whether both are needed during some operator."""
        return self.first <= other.last and other.first <= self.last


def lifetimes(model: Model) -> tuple[Lifetime, ...]:
    """The lifetimes of all activations that anything refers to, in order of tensor index; sizes aligned.

    Variables, which keep their value between inferences, live through all of them.
    """
    end = max(len(model.operators) - 1, 0)
    first = dict.fromkeys(model.inputs, 0)
    last = dict(first)
    for operator in model.operators:
        for index in (*operator.inputs, *operator.outputs):
            if index != -1:
                first.setdefault(index, operator.index)
                last[index] = operator.index
    for index in model.outputs:
        first.setdefault(index, 0)
        last[index] = end
    return tuple(
        Lifetime(t.index, _aligned(tensor_bytes(t)), 0, end)
        if t.variable
        else Lifetime(t.index, _aligned(tensor_bytes(t)), first[t.index], last[t.index])
        for t in model.tensors
        if t.index in last and t.data is None
    )


def lower_bound(model: Model) -> int:
    """The most bytes that are needed at once, where no operator works in place: no plan can be smaller."""
    spans = lifetimes(model)
    return max(
        (sum(s.bytes for s in spans if s.first <= i <= s.last) for i in range(len(model.operators))),
        default=0,
    )


def plan_tflm(model: Model) -> ArenaPlan:
    """The plan of TensorFlow Lite Micro with its reference kernels; `bytes` is the head that it reports.

    Greedy by size, of equal sizes the higher tensor index first (tflite-micro, greedy_memory_planner.cc and
    micro_allocation_info.cc). Scratch memory of kernels has indices behind those of the tensors. Variables
    are not in it: TFLM keeps them in its tail.
    """
    referred = lifetimes(model)
    spans = [s for s in referred if s.bytes and not model.tensors[s.tensor].variable]
    scratch = ((o.index, _aligned(size)) for o in model.operators for size in scratch_bytes(model, o))
    spans += [
        Lifetime(len(model.tensors) + i, size, operator, operator)
        for i, (operator, size) in enumerate(scratch)
    ]
    plan = _plan(model, spans, _first_fit(sorted(spans, key=lambda s: (-s.bytes, -s.tensor))), ())
    # Tensors that nothing refers to are placed too: all together before the first operator.
    idle = {t.index for t in model.tensors if t.data is None and not t.variable} - {
        s.tensor for s in referred
    }
    return replace(plan, bytes=max(plan.bytes, sum(_aligned(tensor_bytes(model.tensors[i])) for i in idle)))


def plan_smallest(
    model: Model,
    in_place: InPlace = lambda _operator: (),
    scratch: Callable[[Operator], int] = lambda _operator: 0,
) -> ArenaPlan:
    """The smallest plan of several: TFLM's order and others, with and without working in place.

    `in_place` names the inputs an operator's output may be written over; it is done where the input is not
    needed later and is large enough. RESHAPE always may: its output has the bytes of its input. `scratch` are
    the bytes an operator needs for itself while it runs; in the plan their index is that of the operator,
    behind those of the tensors. Without scratch the result is never larger than TFLM's plan.
    """
    own = ((len(model.tensors) + o.index, _aligned(scratch(o)), o.index) for o in model.operators)
    spans = (*lifetimes(model), *(Lifetime(index, size, at, at) for index, size, at in own if size))
    candidates = []
    # Of equal plans the first is taken: what works in place saves the copy of a RESHAPE.
    for pairs in (_shareable(model, spans, in_place), ()):
        slots = _merged(spans, pairs)
        for order in _orders(set(slots.values())):
            at = _first_fit(order)
            offsets = {s.tensor: at[slots[s.tensor].tensor] for s in spans}
            candidates.append((_end(spans, offsets), offsets, pairs))
    _, offsets, pairs = min(candidates, key=lambda candidate: candidate[0])
    return _plan(model, spans, offsets, pairs)


def overlaps(plan: ArenaPlan) -> tuple[tuple[int, int], ...]:
    """Pairs of tensors that would lie on each other while both are needed; empty for a sound plan.

    Checks the finished plan by itself, whatever made it. Tensors that share memory in place may touch in the
    one operator that reads the first and writes the second.
    """
    intended = set(plan.in_place)
    found = []
    placed = zip(plan.tensors, plan.buffers, strict=True)
    for (a, one), (b, other) in combinations(placed, 2):
        together = min(one.last_operator, other.last_operator) - max(one.first_operator, other.first_operator)
        common = min(one.offset + one.bytes, other.offset + other.bytes) - max(one.offset, other.offset)
        if together < 0 or common <= 0:
            continue
        handed_over = together == 0 and ((a, b) in intended or (b, a) in intended)
        if not handed_over:
            found.append((a, b))
    return tuple(found)


def _aligned(count: int) -> int:
    return count + -count % ALIGNMENT_BYTES


def _plan(
    model: Model,
    spans: Sequence[Lifetime],
    offsets: Mapping[int, int],
    in_place: Sequence[tuple[int, int]],
) -> ArenaPlan:
    names = [tensor.name for tensor in model.tensors]
    return ArenaPlan(
        buffers=tuple(
            ArenaBuffer(
                name=names[s.tensor] if s.tensor < len(names) else f"scratch of operator {s.first}",
                offset=offsets[s.tensor],
                bytes=s.bytes,
                first_operator=s.first,
                last_operator=s.last,
            )
            for s in spans
        ),
        bytes=_end(spans, offsets),
        tensors=tuple(s.tensor for s in spans),
        in_place=tuple(in_place),
    )


def _end(spans: Iterable[Lifetime], offsets: Mapping[int, int]) -> int:
    return max((offsets[s.tensor] + s.bytes for s in spans), default=0)


def _first_fit(order: Sequence[Lifetime]) -> dict[int, int]:
    """Offsets by tensor: each span in turn at the lowest gap between those placed before that it meets."""
    offsets: dict[int, int] = {}
    placed: list[Lifetime] = []
    for span in order:
        at = 0
        for other in sorted((p for p in placed if p.meets(span)), key=lambda p: offsets[p.tensor]):
            if offsets[other.tensor] - at >= span.bytes:
                break
            at = max(at, offsets[other.tensor] + other.bytes)
        offsets[span.tensor] = at
        if span.bytes:
            placed.append(span)
    return offsets


def _orders(slots: Iterable[Lifetime]) -> Iterator[Sequence[Lifetime]]:
    """Orders in which first fit tends to do well; TFLM's is the first."""
    spans = list(slots)
    yield sorted(spans, key=lambda s: (-s.bytes, -s.tensor))
    yield sorted(spans, key=lambda s: (-s.bytes, s.tensor))
    yield sorted(spans, key=lambda s: (s.first, -s.bytes, s.tensor))
    yield sorted(spans, key=lambda s: (-s.last, -s.bytes, s.tensor))
    yield sorted(spans, key=lambda s: (-s.bytes * (s.last - s.first + 1), s.tensor))
    if len(spans) <= _FEW:
        yield from permutations(sorted(spans, key=lambda s: s.tensor))


def _shareable(model: Model, spans: Sequence[Lifetime], in_place: InPlace) -> tuple[tuple[int, int], ...]:
    """Pairs (input, output) of tensors that one piece of memory can serve."""
    by_tensor = {s.tensor: s for s in spans}
    pairs = []
    for operator in model.operators:
        if not operator.outputs:
            continue
        allowed = {0} if operator.name == "RESHAPE" else set(in_place(operator))
        target = operator.outputs[0]
        for position in sorted(p for p in allowed if p < len(operator.inputs)):
            source = operator.inputs[position]
            read_at = {p for p, index in enumerate(operator.inputs) if index == source}
            span = by_tensor.get(source)
            if (
                span is not None
                and span.last == operator.index
                and read_at <= allowed
                and source not in model.outputs
                and not model.tensors[source].variable
                and tensor_bytes(model.tensors[target]) <= tensor_bytes(model.tensors[source])
            ):
                pairs.append((source, target))
                break
    return tuple(pairs)


def _merged(spans: Sequence[Lifetime], pairs: Sequence[tuple[int, int]]) -> dict[int, Lifetime]:
    """For each tensor the span it is placed with: its own, or that of the chain it shares memory with."""
    slots = {s.tensor: s for s in spans}
    head = {s.tensor: s.tensor for s in spans}
    for source, target in pairs:  # in execution order, so that a chain grows at its end
        head[target] = head[source]
        chain = slots[head[source]]
        slots[chain.tensor] = replace(chain, last=max(chain.last, slots[target].last))
    return {tensor: slots[head[tensor]] for tensor in slots}
