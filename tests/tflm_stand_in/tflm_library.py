"""The stand-in of TensorFlow Lite Micro as a library, and models in its format."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tinybench.model import Model, Operator, Tensor
from tinybench.workload import (
    GOLDEN_NAMES,
    GoldenInput,
    GoldenSpec,
    InputSpec,
    ModelSpec,
    Workload,
    WorkloadSpec,
)

TREE = Path(__file__).parent
CORTEX_M4 = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")
RELEASE = ("-O2", "-DNDEBUG")

CODES = {"ADD": 0, "MUL": 18, "DIV": 42, "ABS": 101}
ELEMENTS = 4
SCALE, ZERO_POINT = 0.5, -3


def built(folder: Path, *flags: str, sources: tuple[Path, ...] = (TREE / "stand_in.cc",)) -> Path:
    """An archive of the stand-in, compiled with these flags."""
    folder.mkdir(parents=True, exist_ok=True)
    objects = []
    for source in sources:
        objects.append(folder / f"{source.stem}.o")
        words = ["-std=c++17", "-fno-exceptions", "-fno-rtti", "-ffunction-sections", *flags]
        subprocess.run(
            ["arm-none-eabi-g++", *words, f"-I{TREE}", "-c", source, "-o", objects[-1]], check=True
        )
    library = folder / "libtensorflow-microlite.a"
    subprocess.run(["arm-none-eabi-ar", "-rcs", library, *objects], check=True)
    return library


@dataclass(frozen=True)
class StandIn:
    """A model of the stand-in: the operators in their order, and what it wants of the arena."""

    operators: tuple[str, ...]
    used_bytes: int = 100
    planning_bytes: int = 0

    def workload(self, folder: Path) -> Workload:
        """As the engine is given it: the model's file, the model as values, and the right answers."""
        file = folder / "stand_in.tflite"
        codes = [CODES[name] for name in self.operators]
        file.write_bytes(struct.pack("<3I16I", self.used_bytes, self.planning_bytes, len(codes), *pad(codes)))
        digest = sha256(file.read_bytes()).hexdigest()
        goldens = tuple(self._golden(name, seed) for seed, name in enumerate(GOLDEN_NAMES))
        spec = WorkloadSpec(
            id="stand-in",
            title="Stand-in",
            task="kws",
            protocol_id="kws01",
            model=ModelSpec(file=file.name, sha256=digest, normalised_sha256=digest, sources=()),
            input=InputSpec(encoding="int8"),
            golden=GoldenSpec(
                oracle="arithmetic",
                inputs_sha256=digest,
                outputs_sha256={golden.name: golden.output_sha256 for golden in goldens},
            ),
        )
        return Workload(spec, self.model(), file, digest, digest, "test", goldens, "arithmetic")

    def model(self) -> Model:
        count = len(self.operators)
        shape = (1, ELEMENTS)
        tensors = tuple(Tensor(index=i, name=f"t{i}", shape=shape, dtype="int8") for i in range(count + 1))
        operators = tuple(
            Operator(index=i, name=name, inputs=(i,), outputs=(i + 1,))
            for i, name in enumerate(self.operators)
        )
        return Model(tensors=tensors, operators=operators, inputs=(0,), outputs=(count,))

    def answer(self, data: bytes) -> bytes:
        for name in self.operators:
            data = bytes((byte + 1 if name == "ADD" else byte * 2) & 0xFF for byte in data)
        return data

    def _golden(self, name: str, seed: int) -> GoldenInput:
        data = bytes((seed * 17 + 3 * i) & 0xFF for i in range(ELEMENTS))
        output = self.answer(data)
        return GoldenInput(name, data, output, sha256(output).hexdigest())


def pad(codes: list[int]) -> list[int]:
    return codes + [0] * (16 - len(codes))
