"""Asking and being answered: one command, one reply, one deadline; and the greeting that comes first.

A reply that does not fit ends the dialogue: what follows could be the answer to an earlier question, so
nothing more is asked of this link. Which verbs there are is `session.py`'s business.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tinybench.errors import (
    DeadlineExceeded,
    FirmwareFault,
    LinkClosed,
    LinkTimeout,
    ProtocolError,
    TinyBenchError,
)
from tinybench.links import Clock, Deadline, Lines, text
from tinybench.target import Link
from tinybench.wire import BATCH, READY, Reply, Saying, command_bytes, saying, sort_reply


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds.

    A reply has `reply_s` plus `slack` times what it should take. `unpredicted_s` is for the first inference,
    of which nothing is known yet. `load_s` is for the bytes of an input: the firmware itself says when they
    stop coming, so that only a dead one is silent.
    """

    silence_s: float = 2.0
    handshake_s: float = 15.0
    name_s: float = 3.0
    reply_s: float = 10.0
    load_s: float = 30.0
    unpredicted_s: float = 120.0
    slack: float = 3.0


ExplainFault = Callable[[str], Sequence[str]]

_NOISE = "what arrives is no text: is it another baud rate, a bad cable, or another program on this port?"
_SILENT = "reset the board, and see whether it does the same again"


class Dialogue:
    """Questions and answers over one link. Over as soon as anything raises."""

    def __init__(
        self,
        link: Link,
        *,
        clock: Clock,
        patience: Patience,
        limit: Deadline,
        explain_fault: ExplainFault | None,
    ) -> None:
        self._link = link
        self._lines = Lines(link)
        self._explain_fault = explain_fault
        self._ended: TinyBenchError | None = None
        self._silence: LinkTimeout | None = None
        self.clock = clock
        self.patience = patience
        self.limit = limit
        self.dialect = BATCH
        self.boot: tuple[str, ...] = ()
        self.echoes = False

    def greet(self) -> None:
        """Let the device finish booting, then ask for its name until that is heard.

        Raises DeadlineExceeded if nobody answers, FirmwareFault, LinkClosed.
        """
        deadline = self.limit.sooner(self.patience.handshake_s, self.clock)
        self._await_boot(deadline)
        self.synchronise(deadline)

    def ask(
        self, command: str, *, within_s: float | None = None, strict: bool = True, refusable: bool = False
    ) -> Reply:
        """Send a command and collect its reply.

        `strict` refuses lines that the dialect does not know; `refusable` lets `e-[…]` pass to the caller.
        Raises LinkTimeout, LinkClosed, ProtocolError, FirmwareFault, DeadlineExceeded.
        """
        if self._ended is not None:
            raise ProtocolError("this session is over") from self._ended
        sent = command_bytes(command, self.dialect.command_limit)
        unasked = self._unasked()
        if unasked.strip(b"\r\n\0 "):
            boot = b"m-init-done" in unasked or b"m-timestamp-mode-" in unasked
            said = "reset itself" if boot else f"said `{text(unasked[-80:]).strip()}` unasked,"
            raise self.end(
                ProtocolError(f"the device {said} before `{command}`", hint=_hint_on((unasked,), _SILENT))
            )
        reply = self.exchange(f"`{command}`", sent, within_s or self.patience.reply_s)
        self._check_echo(reply)
        if strict:
            self.accept(reply, but_errors=refusable)
        return reply

    def exchange(self, what: str, sent: bytes, within_s: float) -> Reply:
        """Send bytes and collect what comes back, up to `m-ready`; `what` names them in messages."""
        deadline = self.limit.sooner(within_s, self.clock)
        lines: list[bytes] = []
        try:
            self._link.write(sent)
            while (line := self._hear(deadline, what)) != READY:  # alone on its line, or it is only text
                lines.append(line)
        except LinkTimeout as silence:
            raise self.end(_with_notes_of(silence, self._too_late(what, within_s, lines))) from None
        except LinkClosed as closed:
            closed.add_note(f"during {what}")
            raise self.end(closed) from None
        return sort_reply(what.strip("`"), tuple(lines), self.dialect)

    def _check_echo(self, reply: Reply) -> None:
        """ProtocolError if the device repeats something else than it was sent: it was clipped, or damaged."""
        echo = self.dialect.echo
        heard = [line for line in reply.lines if echo is not None and line.startswith(echo)]
        if heard and heard != [(echo or b"") + reply.command.encode()]:
            raise self.unfit(reply, f"the device heard `{text(heard[0][len(echo or b'') :][:60])}`")

    def accept(self, reply: Reply, *, but_errors: bool = False) -> None:
        """ProtocolError if the reply holds errors or lines that the dialect does not know."""
        refused = reply.strays if but_errors else (*reply.errors, *reply.strays)
        if refused:
            raise self.unfit(reply, f"the device says `{text(refused[0][:120])}`")

    def unfit(self, reply: Reply, why: str, *, hint: str | None = None) -> TinyBenchError:
        """Ends the dialogue; the ProtocolError to raise."""
        return self.end(
            ProtocolError(
                f"the reply to `{reply.command}` does not fit: {why}",
                hint=hint or _hint_on(reply.lines, None),
            )
        )

    def end(self, error: TinyBenchError) -> TinyBenchError:
        """Ends the dialogue because of `error`, which is handed back to be raised."""
        self._ended = error
        return error

    def synchronise(self, deadline: Deadline) -> None:
        """Ask for the name until it is heard; only `m-name-` proves that an answer is the answer."""
        for attempt in range(1, math.ceil(self.patience.handshake_s / self.patience.name_s) + 1):
            if self.hears_name(deadline.sooner(self.patience.name_s)):
                if attempt > 1:  # answers to the other questions may still be on their way, each as late
                    self.settle(attempt * self.patience.name_s)
                return
        mute = DeadlineExceeded(
            f"the device never answered to `name` within {self.patience.handshake_s:g} s",
            hint="check baud rate and port; another program may hold the board in reset",
        )
        raise self.end(_with_notes_of(self._silence, mute))

    def hears_name(self, deadline: Deadline) -> bool:
        """Whether `name` is answered in full before `deadline`; anything else said meanwhile is skipped."""
        try:
            self._link.write(command_bytes("name", BATCH.command_limit))
            while b"m-name-" not in (line := self._lines.read(deadline)):
                self.echoes = self.echoes or line.startswith(b"Received command: ")
                if saying(line, self.dialect) is Saying.FAULT:
                    raise self.end(self._fault(line, "`name`"))
            while not self._lines.read(deadline).endswith(READY):
                pass
        except LinkTimeout as silence:
            self._silence = silence
            return False
        return True

    def settle(self, silence_s: float) -> None:
        """Let pass whatever is still on its way, until the device has been silent for `silence_s`."""
        deadline = self.limit.sooner(self.patience.handshake_s, self.clock)
        try:
            while deadline.remaining_s() > 0:
                self._lines.read(deadline.sooner(silence_s))
        except LinkTimeout:
            self._lines.unread()

    def _await_boot(self, deadline: Deadline) -> None:
        """Read what a device says after reset, up to its `m-ready` or a silence."""
        boot: list[bytes] = []
        try:
            while not boot or not boot[-1].endswith(READY):
                boot.append(self._lines.read(deadline.sooner(self.patience.silence_s)))
                if saying(boot[-1], self.dialect) is Saying.FAULT:
                    raise self.end(self._fault(boot[-1], "its start"))
        except LinkTimeout:
            pass  # it had booted before, or never will: `name` tells
        self.boot = tuple(text(line) for line in boot)
        self._lines.unread()

    def _hear(self, deadline: Deadline, what: str) -> bytes:
        line = self._lines.read(deadline)
        kind = saying(line, self.dialect)
        if kind is Saying.FAULT:
            raise self.end(self._fault(line, what))
        if kind is Saying.RESET:
            raise self.end(ProtocolError(f"the device reset itself during {what}"))
        return line

    def _unasked(self) -> bytes:
        try:
            return self._lines.unread()
        except LinkClosed as closed:
            raise self.end(closed) from None

    def _fault(self, line: bytes, what: str) -> FirmwareFault:
        registers = text(line).removeprefix("e-tb-fault-[").removesuffix("]")
        fault = FirmwareFault(f"the firmware faulted during {what}: `{registers}`")
        for sentence in self._explain_fault(registers) if self._explain_fault else ():
            fault.add_note(sentence)
        return fault

    def _too_late(self, what: str, within_s: float, lines: Sequence[bytes]) -> TinyBenchError:
        last = f"; its last line was `{text(lines[-1][:80])}`" if lines else ""
        if self.limit.remaining_s() == 0:
            return DeadlineExceeded(f"the case's time was used up during {what}{last}")
        late = f"the device did not finish answering {what} within {within_s:.3g} s{last}"
        if not all(map(bytes.isascii, lines)):
            return ProtocolError(late, hint=_NOISE)
        return LinkTimeout(late, hint=_SILENT)


def _hint_on(lines: Sequence[bytes], otherwise: str | None) -> str | None:
    """What to look at if these lines hold bytes that no firmware says."""
    return otherwise if all(map(bytes.isascii, lines)) else _NOISE


def _with_notes_of(silence: LinkTimeout | None, error: TinyBenchError) -> TinyBenchError:
    """What the link knew about its silence (where the core was, that it waits) goes along."""
    if silence is not None:
        for note in (silence.message, *getattr(silence, "__notes__", ())):
            error.add_note(note)
    return error
