"""Engines of ours beside the judge: built with a real compiler, run on a virtual board."""

from __future__ import annotations

import math
import random
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import platformdirs
import pytest

from tinybench import build, toolchain
from tinybench.engine import Engine
from tinybench.errors import SetupError
from tinybench.fetch import Fetcher, Places
from tinybench.model import Model, Operator, Quantisation, Tensor, tensor_bytes
from tinybench.models import oracle, tflite
from tinybench.models.loading import load
from tinybench.models.tflite_schema import OPTIONS
from tinybench.plugins import Catalogue, discover
from tinybench.session import Session
from tinybench.target import Adapter, Target
from tinybench.workload import GOLDEN_NAMES, GoldenSpec, InputSpec, ModelSpec, Workload, WorkloadSpec

CACHE = platformdirs.user_cache_path("tinybench")
Run = Callable[[bytes], bytes]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return discover()


@pytest.fixture(scope="session")
def board(catalogue: Catalogue) -> Target:
    return catalogue.target("nucleo-f746")


@pytest.fixture(scope="session")
def adapter(catalogue: Catalogue) -> Adapter:
    return catalogue.adapters["virtual"].part


@pytest.fixture(scope="session")
def make() -> Callable[..., object]:
    return partial(build.build, compiler=toolchain.find(None, CACHE), cache=CACHE)


@pytest.fixture(scope="session")
def workload_of(catalogue: Catalogue) -> Callable[[str], Workload]:
    """A workload by id with its golden answers: official files where given, else from the package index."""
    siblings = tuple(found.part.model for found in catalogue.workloads.values())
    fetcher = Fetcher(Places(CACHE, official(), offline=True), siblings=siblings)
    judge = oracle.installed(CACHE)

    def named(name: str) -> Workload:
        return load(catalogue.workload(name), fetcher, judge)

    def of(task: str) -> Workload:
        try:
            return named(task)
        except SetupError:
            return named(f"{task}-mltk")

    return of


def official() -> Path | None:
    import os

    folder = os.environ.get("TINYBENCH_MODELS")
    return Path(folder) if folder else None


@pytest.fixture(scope="session")
def on_board(board: Target, adapter: Adapter, make) -> Callable[..., AbstractContextManager[Run]]:
    """An engine's image on the virtual board: bytes of the input tensor in, bytes of the output out."""

    @contextmanager
    def opened(engine: Engine, workload: Workload):
        image = make(workload, engine, board, "clean")
        with adapter.open(adapter.find(board)[0], image) as link:
            session = Session.connect(link, clock=time.monotonic, baud=board.serial.baud)

            def run(sample: bytes) -> bytes:
                session.load(sample)
                session.infer(1, 0)
                return session.output()

            yield run

    return opened


@pytest.fixture(scope="session")
def judged() -> Callable[[Workload, Iterable[bytes]], list[bytes]]:
    """What TensorFlow Lite Micro answers to tensors, or who else judges the model."""
    if oracle.installed() is None:
        pytest.skip("needs `tflite-micro`, which is not installed")

    def answers(workload: Workload, tensors: Iterable[bytes]) -> list[bytes]:
        judge = oracle.fitting(workload.model, oracle.installed(CACHE))
        assert judge is not None
        return list(judge.outputs(workload.model_path.read_bytes(), list(tensors)))

    return answers


def some_inputs(model: Model, count: int) -> list[bytes]:
    """Both extremes, a ramp, and `count` uniform random tensors."""
    size = tensor_bytes(model.tensors[model.inputs[0]])
    generator = random.Random(size)
    fixed = [b"\x80" * size, b"\x7f" * size, bytes(i % 256 for i in range(size))]
    return fixed + [generator.randbytes(size) for _ in range(count)]


@pytest.fixture(scope="session")
def inputs() -> Callable[[Model, int], list[bytes]]:
    return some_inputs


def single(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


@dataclass
class Chain:
    """A model written operator by operator, with random weights and scales that keep sums in range."""

    shape: tuple[int, ...]
    seed: int = 1
    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.last = self._add(self._activation(self.shape))

    def _add(self, tensor: Tensor) -> int:
        self.tensors.append(replace(tensor, index=len(self.tensors), name=f"t{len(self.tensors)}"))
        return len(self.tensors) - 1

    def _activation(self, shape: tuple[int, ...]) -> Tensor:
        scale = single(self.random.uniform(0.02, 0.05))
        return Tensor(0, "", shape, "int8", None, Quantisation((scale,), (self.random.randint(-20, 20),)))

    def _constant(self, shape: tuple[int, ...], scales: int, axis: int) -> Tensor:
        data = bytes(b if b != 128 else 127 for b in self.random.randbytes(math.prod(shape)))
        values = tuple(single(self.random.uniform(0.002, 0.01)) for _ in range(scales))
        return Tensor(0, "", shape, "int8", data, Quantisation(values, (0,) * scales, axis))

    def _bias(self, weights: Tensor, channels: int) -> Tensor:
        values = [self.random.randint(-3000, 3000) for _ in range(channels)]
        assert weights.quantisation is not None
        input_ = self.tensors[self.last].quantisation
        assert input_ is not None
        scales = tuple(single(input_.scales[0] * scale) for scale in weights.quantisation.scales)
        found = Quantisation(scales, (0,) * len(scales), 0)
        return Tensor(0, "", (channels,), "int32", struct.pack(f"<{channels}i", *values), found)

    def then(self, name: str, constants: Iterable[Tensor], shape: tuple[int, ...], **options: int) -> Chain:
        inputs = (self.last, *(self._add(tensor) for tensor in constants))
        self.last = self._add(self._activation(shape))
        defaults = {one.name: one.default for one in OPTIONS[name].fields}
        self.operators.append(
            Operator(len(self.operators), name, inputs, (self.last,), {**defaults, **options})
        )
        return self

    def _spread(self, size: int, reach: int, stride: int, padding: int) -> int:
        return (size + stride - (1 if padding == 0 else reach)) // stride

    def _windowed(self, filter_: tuple[int, int], options: dict[str, int]) -> tuple[int, int]:
        height, width = self.tensors[self.last].shape[1:3]
        stride = (options.get("stride_h", 1), options.get("stride_w", 1))
        dilation = (options.get("dilation_h_factor", 1), options.get("dilation_w_factor", 1))
        reach = [(size - 1) * factor + 1 for size, factor in zip(filter_, dilation, strict=True)]
        padding = options.get("padding", 0)
        return (
            self._spread(height, reach[0], stride[0], padding),
            self._spread(width, reach[1], stride[1], padding),
        )

    def conv(self, channels: int, filter_: tuple[int, int], **options: int) -> Chain:
        weights = self._constant((channels, *filter_, self.tensors[self.last].shape[3]), channels, 0)
        shape = (1, *self._windowed(filter_, options), channels)
        options = {"stride_h": 1, "stride_w": 1, **options}
        return self.then("CONV_2D", (weights, self._bias(weights, channels)), shape, **options)

    def depthwise(self, multiplier: int, filter_: tuple[int, int], **options: int) -> Chain:
        channels = self.tensors[self.last].shape[3] * multiplier
        weights = self._constant((1, *filter_, channels), channels, 3)
        shape = (1, *self._windowed(filter_, options), channels)
        options = {"stride_h": 1, "stride_w": 1, "depth_multiplier": multiplier, **options}
        return self.then("DEPTHWISE_CONV_2D", (weights, self._bias(weights, channels)), shape, **options)

    def pool(self, name: str, filter_: tuple[int, int], **options: int) -> Chain:
        shape = (1, *self._windowed(filter_, options), self.tensors[self.last].shape[3])
        before = self.tensors[self.last].quantisation
        options = {
            "stride_h": 1,
            "stride_w": 1,
            "filter_height": filter_[0],
            "filter_width": filter_[1],
            **options,
        }
        self.then(name, (), shape, **options)
        self.tensors[self.last] = replace(self.tensors[self.last], quantisation=before)
        return self

    def dense(self, channels: int, *, per_channel: bool = False) -> Chain:
        depth = math.prod(self.tensors[self.last].shape)
        weights = self._constant((channels, depth), channels if per_channel else 1, 0)
        return self.then("FULLY_CONNECTED", (weights, self._bias(weights, channels)), (1, channels))

    def workload(self, folder: Path) -> Workload:
        model = Model(tuple(self.tensors), tuple(self.operators), (0,), (self.last,))
        path = folder / "chain.tflite"
        path.write_bytes(tflite.write(model))
        none = "0" * 64
        spec = WorkloadSpec(
            id="chain",
            title="Chain",
            task="chain",
            protocol_id="chain",
            model=ModelSpec(file=path.name, sha256=none, normalised_sha256=none, sources=()),
            input=InputSpec(encoding="int8"),
            golden=GoldenSpec(
                oracle="none", inputs_sha256=none, outputs_sha256=dict.fromkeys(GOLDEN_NAMES, none)
            ),
        )
        return Workload(spec, tflite.read(path.read_bytes()), path, none, none, "test", (), "none")


def chains() -> dict[str, Chain]:
    """Shapes that no benchmark has: odd channels, borders, dilation, multipliers, leftovers of every kind."""
    return {
        "odd": Chain((1, 9, 7, 3))
        .conv(5, (3, 3))
        .depthwise(1, (3, 3), stride_h=2, stride_w=2)
        .conv(7, (1, 1))
        .depthwise(2, (3, 2))
        .conv(6, (2, 3), padding=1)
        .dense(9)
        .dense(3),
        "even": Chain((1, 8, 10, 8), 2)
        .conv(8, (3, 3), stride_h=2)
        .depthwise(1, (5, 3))
        .conv(9, (1, 1), stride_w=2)
        .conv(12, (3, 3), dilation_h_factor=2, dilation_w_factor=2)
        .pool("AVERAGE_POOL_2D", (3, 2), stride_w=2)
        .dense(11, per_channel=True),
        "pooled": Chain((1, 1, 16, 4), 3)
        .conv(8, (1, 3))
        .pool("MAX_POOL_2D", (1, 2), stride_w=2)
        .depthwise(1, (1, 3), dilation_w_factor=2)
        .depthwise(1, (3, 3))
        .conv(4, (1, 8), padding=1)
        .dense(5),
        "activated": Chain((1, 6, 6, 4), 4)
        .conv(10, (3, 3), fused_activation_function=1)
        .depthwise(1, (3, 3), fused_activation_function=3)
        .conv(5, (6, 6), padding=1)
        .dense(2),
    }


CHAINS = tuple(chains())


@pytest.fixture(params=CHAINS)
def odd_shapes(request, tmp_path) -> Workload:
    return chains()[request.param].workload(tmp_path)


@pytest.fixture
def chain(tmp_path) -> Workload:
    return chains()["odd"].workload(tmp_path)
