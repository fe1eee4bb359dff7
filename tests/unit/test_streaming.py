"""The streaming dialect as host: the reference's answers are understood, damage is never a step."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybench.dialogue import Patience
from tinybench.errors import LoadError, TinyBenchError
from tinybench.fake_streaming import FakeStreaming
from tinybench.session import Session
from tinybench.wire import FEATURES, FRAME_BYTES, MODEL_INPUT, STREAMING, Step, frames, model_inputs

RECORDED = Path(__file__).with_name("streaming_replies.txt")
DATA = bytes((37 * n + 11) % 256 for n in range(FRAME_BYTES))
HALVES = {"FIRST": DATA[:512].hex().upper(), "SECOND": DATA[512:].hex().upper()}
INT8 = st.integers(-128, 127)
STEPS = st.builds(Step, st.tuples(*[INT8] * FEATURES), st.tuples(INT8, INT8, INT8))


def recorded() -> list[tuple[str, bytes]]:
    """Commands and their answers, byte for byte."""
    said: list[tuple[str, bytes]] = []
    text = RECORDED.read_text(encoding="utf-8")
    for name, digits in HALVES.items():
        text = text.replace(name, digits)
    for line in text.splitlines():
        mark, words = line[:1], line[2:]
        if mark == ">":
            said.append((words, b""))
        elif mark == "<":
            said[-1] = (said[-1][0], said[-1][1] + words.encode().decode("unicode_escape").encode("latin-1"))
    return said


def connected(link):
    return Session.connect(link, clock=link.clock, patience=Patience(silence_s=0.1))


def as_bytes(step: Step) -> bytes:
    """A frame of which the fake makes this step."""
    return bytes(value & 0xFF for value in (*step.features, *step.activations)).ljust(FRAME_BYTES, b"\0")


def test_the_fake_answers_as_the_reference_implementation_does():
    link = FakeStreaming(heard=tuple(7 * n - 60 for n in range(20)))
    for command, answer in recorded():
        link.write(command.encode() + b"%")
        assert link.read(1.0) == answer, command


def test_the_dialect_is_recognised_and_nothing_harmful_is_sent():
    link = FakeStreaming()
    session = connected(link)
    assert (session.dialect, session.name()) == (STREAMING, "ML Commons")
    assert session.capabilities() is None
    assert all(command.strip() for command in link.commands), "an empty command crashes this firmware"


def test_a_step_is_what_the_firmware_makes_of_its_frame():
    session = connected(FakeStreaming())
    step = session.step(DATA)
    assert step.features[:5] == (11, 48, 85, 122, -97)
    assert step.activations == (-45, -8, 29)


@given(st.lists(STEPS, min_size=1, max_size=5))
def test_every_step_arrives_as_it_was_made(steps):
    link = FakeStreaming()
    session = connected(link)
    assert [session.step(as_bytes(step)) for step in steps] == steps
    assert sum(command.startswith("db ") for command in link.commands) == 3 * len(steps)


def test_a_frame_is_read_back_where_that_is_wanted():
    connected(FakeStreaming()).load(DATA, verify=True)


def test_listening_and_what_was_heard():
    session = connected(FakeStreaming(heard=tuple(7 * n - 60 for n in range(20))))
    session.listen()
    assert session.stop_listening() == tuple(7 * n - 60 for n in range(20))


@pytest.mark.parametrize("twice", ["listen", "stop_listening"])
def test_listening_out_of_turn_is_an_error(twice):
    session = connected(FakeStreaming())
    if twice == "listen":
        session.listen()
    with pytest.raises(TinyBenchError, match="does not"):
        getattr(session, twice)()


# --- damage ---


class Damaged:
    """The same link, with what it says from some moment on changed by `change`."""

    def __init__(self, link, change):
        self._link, self._change = link, change
        self.clock = link.clock
        self.harm = False

    def write(self, data):
        self._link.write(data)

    def read(self, within_s):
        said = self._link.read(within_s)
        return self._change(said) if self.harm else said


def harmed(change):
    """A session whose line is sound until it is about to step."""
    link = Damaged(FakeStreaming(), change)
    session = connected(link)
    link.harm = True
    return session


DAMAGE = {
    "the end is lost": lambda said: said[: len(said) // 2],
    "m-ready twice": lambda said: said + b"m-ready\r\n",
    "a stranger's line": lambda said: said.replace(b"m-ready", b"heap 1234\r\nm-ready"),
    "garbage": lambda said: said.replace(b"m-ready", b"\xff\x00\xfe\x80\r\nm-ready"),
    "it starts anew": lambda said: b"m-timestamp-mode-performance\r\nm-init-done\r\n" + said,
    "a command is clipped": lambda said: said.replace(b"Received command: db", b"Received command: b"),
    "fewer bytes arrive": lambda said: said.replace(b"512 bytes received", b"511 bytes received"),
    "the load ends too soon": lambda said: said.replace(b"512 bytes received", b"m-load-done"),
    "a feature is missing": lambda said: said.replace(b"+11, ", b""),
    "a feature is no int8": lambda said: said.replace(b"+11, ", b"+811, "),
    "an activation is missing": lambda said: said.replace(b", +29]", b"]"),
    "features twice": lambda said: said.replace(b"m-activations", b"m-features-[1]\r\nm-activations"),
    "nothing at all": lambda said: b"",
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_an_error_and_never_a_step(what):
    session = harmed(DAMAGE[what])

    def step_twice():  # what came too late for the first question may answer the second
        return session.step(DATA), session.step(DATA)

    with pytest.raises(TinyBenchError):
        step_twice()


@given(st.integers(0, 200), st.integers(0, 255))
def test_one_wrong_byte_on_the_way_back_is_no_other_step(place, value):
    """Whatever one byte of each reply becomes: the right step, digits that were changed, or an error."""

    def change(said):
        return said[:place] + bytes((value,)) + said[place + 1 :]

    session = harmed(change)
    try:
        step = session.step(DATA)
    except (TinyBenchError, LoadError):
        return
    assert (len(step.features), len(step.activations)) == (FEATURES, 3)


# --- pure ---


@given(st.binary(max_size=5 * FRAME_BYTES))
def test_frames_are_whole_and_in_order(samples):
    made = list(frames(samples))
    assert all(len(frame) == FRAME_BYTES for frame in made)
    assert samples.startswith(b"".join(made))
    assert len(made) == len(samples) // FRAME_BYTES


@given(st.lists(STEPS, max_size=40))
def test_the_model_sees_the_newest_thirty_rows(steps):
    rows = [bytes(value & 0xFF for value in step.features) for step in steps]
    for number, window in enumerate(model_inputs(steps), start=1):
        newest = b"".join(islice(rows, max(0, number - 30), number))
        assert window == newest.rjust(MODEL_INPUT, b"\0")
