"""Our firmware beside the reference implementation of the MLPerf Tiny API: its recorded answers, replayed.

Deliberate differences are listed in docs/wire.md and, of these commands, here.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

RECORDED = Path(__file__).with_name("reference_replies.txt")
# `help` is free text after its first two lines; the recording has no more of it.
FREE_TEXT = {"help": 2}


def recorded() -> list[tuple[str, bytes]]:
    """Commands and their answers, the boot block as the answer to nothing."""
    said: list[tuple[str, bytes]] = []
    for line in RECORDED.read_text().splitlines():
        mark, text = line[:1], line[2:]
        if mark == ">":
            said.append((text, b""))
        elif mark == "<":
            command, before = said[-1]
            said[-1] = (command, before + text.encode().decode("unicode_escape").encode("latin-1"))
    return said


def answers(program: Path, commands: list[str]) -> list[bytes]:
    """What is said to each command, up to and with its `m-ready`; timestamps written as 0."""
    sent = "".join(f"{command}%" for command in commands).encode()
    said = subprocess.run([program], input=sent, capture_output=True, timeout=60, check=True).stdout
    said = re.sub(rb"m-lap-us-\d+", b"m-lap-us-0", said)
    return re.findall(rb"(?:[^\n]*\n)*?m-ready\r\n", said)


def without_free_text(command: str, answer: bytes) -> bytes:
    if command not in FREE_TEXT:
        return answer
    lines = answer.splitlines(keepends=True)
    return b"".join([*lines[: FREE_TEXT[command]], lines[-1]])


def test_every_recorded_answer_is_ours_byte_for_byte(host_firmware) -> None:
    (_, boot), *rest = recorded()
    ours = answers(host_firmware().program, [command for command, _ in rest])
    assert ours[0] == boot
    commands = [command for command, _ in rest]
    assert len(ours) == len(rest) + 1
    got = [
        (command, without_free_text(command, answer))
        for command, answer in zip(commands, ours[1:], strict=True)
    ]
    assert got == rest


def test_the_recording_holds_every_batch_command_and_every_error_of_the_reference() -> None:
    said = recorded()
    verbs = {command.split()[0] for command, _ in said if command}
    assert verbs >= {"name", "timestamp", "profile", "help", "db", "infer", "results"}
    errors = {line for _, answer in said for line in answer.splitlines() if not line.startswith(b"m-")}
    for error in (
        b"e-[Command 'db' requires a subcommand]",
        b"e-[Command 'db load' requires the # of bytes]",
        b"e-[Command 'db load' must be >0 bytes]",
        b"e-[Insufficent number of hex digits]",
        b"e-[Invalid hex digit '0g']",
        b"e-[Inference iterations must be >0]",
        b"e-[Inference warmup must be >=0]",
        b"Supplied buffer size 11 exceeds maximum of 10",
        b"e-[Unknown command: nonsense]",
    ):
        assert error in errors
    assert len(said) >= 28  # the boot block and 27 commands
