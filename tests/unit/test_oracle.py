"""Who judges the answers, what it said, and what happens where it is not here or has changed its mind."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, field

import pytest

from tinybench.errors import MeasurementError, ModelError
from tinybench.model import Model, Quantisation, Tensor
from tinybench.models import golden, oracle
from tinybench.workload import GoldenSpec, InputSpec, WorkloadSpec

SAME = Quantisation((1.0,), (0,))
NET = Model(
    tensors=(
        Tensor(0, "in", (1, 8), "int8", quantisation=SAME),
        Tensor(1, "out", (1, 8), "int8", quantisation=SAME),
    ),
    operators=(),
    inputs=(0,),
    outputs=(1,),
)
FILE = b"the bytes of the model's file"


@dataclass
class Negating:
    """An oracle for a network that inverts every byte; `lost` cuts its answers short."""

    version: str = "negating 1"
    lost: int = 0
    asked: list[bytes] = field(default_factory=list)

    def outputs(self, model, tensors):
        self.asked += tensors
        return tuple(bytes(value ^ 0xFF for value in tensor)[: len(tensor) - self.lost] for tensor in tensors)


def spec_of(**golden_fields) -> WorkloadSpec:
    """A workload for NET whose record was written by `negating 1`, unless `golden_fields` say otherwise."""
    unjudged = WorkloadSpec.model_construct(id="w", input=InputSpec(encoding="uint8"))
    table = tomllib.loads(oracle.record_goldens(unjudged, NET, FILE, Negating()))["golden"]
    record = GoldenSpec.model_validate({**table, **golden_fields})
    return unjudged.model_copy(update={"golden": record})


def test_an_oracle_that_agrees_gives_the_outputs():
    judged, who = oracle.judge(spec_of(), NET, FILE, Negating("negating 2"))
    assert who == "negating 2"
    assert [item.name for item in judged] == ["zeros", "random", "structured"]
    for item in judged:
        assert item.output == bytes(value ^ 0x80 ^ 0xFF for value in item.data)
        assert item.output_sha256 == hashlib.sha256(item.output).hexdigest()


def test_without_an_oracle_the_stored_digests_judge():
    with_oracle, _ = oracle.judge(spec_of(), NET, FILE, Negating())
    stored, who = oracle.judge(spec_of(), NET, FILE, None)
    assert who == "stored digests of negating 1"
    assert [item.output for item in stored] == [None, None, None]
    assert [(i.name, i.data, i.output_sha256) for i in stored] == [
        (i.name, i.data, i.output_sha256) for i in with_oracle
    ]


def test_further_inputs_are_judged_where_an_oracle_is_at_hand():
    assert oracle.further(spec_of(), NET, FILE, None) == ()
    for item in oracle.further(spec_of(), NET, FILE, Negating()):
        assert item.output == bytes(value ^ 0x80 ^ 0xFF for value in item.data)
        assert item.output_sha256 == hashlib.sha256(item.output).hexdigest()


def test_an_oracle_that_disagrees_with_the_record_is_named_with_its_author():
    outputs = {**spec_of().golden.outputs_sha256, "random": "0" * 64}
    with pytest.raises(MeasurementError) as raised:
        oracle.judge(spec_of(outputs_sha256=outputs), NET, FILE, Negating("negating 2"))
    for word in ("`negating 2`", "`negating 1`", "`random`", "`w`"):
        assert word in raised.value.message
    assert raised.value.hint == "tinybench golden w prints what this oracle answers"


@pytest.mark.parametrize("judge", [None, Negating()])
def test_inputs_that_differ_from_the_record_are_refused(judge):
    with pytest.raises(MeasurementError, match="are not those that `negating 1` judged"):
        oracle.judge(spec_of(inputs_sha256="0" * 64), NET, FILE, judge)


def test_an_answer_of_the_wrong_length_is_refused():
    with pytest.raises(MeasurementError, match="answered 7 bytes where 8 are due"):
        oracle.judge(spec_of(), NET, FILE, Negating(lost=1))


def test_answers_are_remembered(tmp_path):
    asked = Negating()
    for _ in range(2):
        judged, _ = oracle.judge(spec_of(), NET, FILE, oracle.Remembered(asked, tmp_path))
        assert all(item.output is not None for item in judged)
    assert len(asked.asked) == 3


@pytest.mark.parametrize(("version", "model"), [("negating 2", FILE), ("negating 1", FILE + b"!")])
def test_another_version_or_model_is_asked_anew(tmp_path, version, model):
    first, second = Negating(), Negating(version)
    tensors = [b"\x01\x02", b"\x03"]
    assert oracle.Remembered(first, tmp_path).outputs(FILE, tensors) == (b"\xfe\xfd", b"\xfc")
    assert oracle.Remembered(second, tmp_path).outputs(model, tensors) == (b"\xfe\xfd", b"\xfc")
    assert second.asked == tensors


def test_only_what_is_missing_is_asked(tmp_path):
    asked = Negating()
    remembered = oracle.Remembered(asked, tmp_path)
    remembered.outputs(FILE, [b"\x02"])
    assert remembered.outputs(FILE, [b"\x01", b"\x02", b"\x03"]) == (b"\xfe", b"\xfd", b"\xfc")
    assert asked.asked == [b"\x02", b"\x01", b"\x03"]


def test_a_damaged_memory_is_not_believed(tmp_path):
    asked = Negating()
    remembered = oracle.Remembered(asked, tmp_path)
    remembered.outputs(FILE, [b"\x02"])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    assert remembered.outputs(FILE, [b"\x02"]) == (b"\xfd",)
    assert len(asked.asked) == 2


def test_a_memory_that_cannot_be_written_costs_nothing_but_time(tmp_path):
    (tmp_path / "file").write_text("in the way")
    remembered = oracle.Remembered(Negating(), tmp_path / "file" / "oracle")
    assert remembered.outputs(FILE, [b"\x02"]) == (b"\xfd",)


@pytest.mark.needs("python:tflite_micro")
def test_the_real_interpreter_is_found_with_its_version():
    found = oracle.installed()
    assert found is not None
    assert found.version.startswith("tflite-micro 0.")
    assert oracle.oracle_version() == found.version


@pytest.mark.needs("python:tflite_micro")
def test_the_real_interpreter_computes_a_sine(official_models):
    """hello_world: x in 0…2π as 255 steps from -128, sine with scale 1/120.6 about 5."""
    real = oracle.installed()
    assert real is not None
    file = (official_models / "hello_world_int8.tflite").read_bytes()
    answers = real.outputs(file, [bytes([step ^ 0x80]) for step in (0, 64, 128, 192)])
    sines = [int.from_bytes(answer, signed=True) - 5 for answer in answers]
    assert sines == pytest.approx([0, 120, 0, -120], abs=12)


@pytest.mark.needs("python:tflite_micro")
def test_an_input_that_does_not_fit_the_model_is_an_error(official_models):
    real = oracle.installed()
    assert real is not None
    file = (official_models / "hello_world_int8.tflite").read_bytes()
    with pytest.raises(ModelError, match="cannot run this model"):
        real.outputs(file, [bytes(9)])


def test_golden_digest_depends_on_every_byte():
    named = golden.inputs(spec_of(), NET)
    name, data = named[1]
    changed = (named[0], (name, data[:-1] + bytes([data[-1] ^ 1])), named[2])
    assert golden.digest(named) != golden.digest(changed)
