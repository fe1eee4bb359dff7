"""A serial port as a Link: pyserial's exceptions stop here."""

from __future__ import annotations

import contextlib
import errno
import time
from typing import Any, Self

from tinybench.errors import DeviceError, DeviceNotFound, LinkClosed, LinkTimeout, UsageError

_LARGEST_READ_BYTES = 1 << 16


class SerialLink:
    """A port held by this process alone, 8N1 without flow control. Close it, or use it as a context manager.

    `port` is a device name or any URL that pyserial understands (`socket://…`, `rfc2217://…`).
    Raises DeviceNotFound if there is no such port, DeviceError if it is taken or refuses the rate.
    """

    def __init__(self, port: str, baud: int) -> None:
        import serial

        self.port = port
        # pyserial ignores `exclusive` where a URL's handler has no such thing
        exclusive: dict[str, Any] = {} if "://" in port else {"exclusive": True}
        try:
            self._serial: Any = serial.serial_for_url(port, baudrate=baud, timeout=0, **exclusive)
        except (OSError, serial.SerialException) as error:
            raise _not_opened(port, error) from error
        except ValueError as error:
            raise UsageError(f"`{port}` is not a serial port: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Send all of `data`; returns when it has left this computer. Raises LinkClosed."""
        import serial

        try:
            self._serial.write(data)
            self._serial.flush()
        except (OSError, serial.SerialException) as error:
            raise LinkClosed(
                f"the serial port `{self.port}` is gone", hint="is the board still plugged in?"
            ) from error

    def read(self, within_s: float) -> bytes:
        """At least one byte, or LinkTimeout after `within_s` seconds, or LinkClosed."""
        import serial

        deadline = time.monotonic() + within_s
        try:
            self._serial.timeout = within_s
            first: bytes = self._serial.read(1)
            if first:
                return first + bytes(self._serial.read(min(self._serial.in_waiting, _LARGEST_READ_BYTES)))
        except (OSError, TypeError, serial.SerialException) as error:  # TypeError: closed while reading
            raise LinkClosed(
                f"the serial port `{self.port}` is gone", hint="is the board still plugged in?"
            ) from error
        waited_s = within_s + time.monotonic() - deadline
        raise LinkTimeout(f"nothing arrived on `{self.port}` within {waited_s:.1f} s")

    def set_baud(self, baud: int) -> None:
        """Change this end's rate. Raises DeviceError if the port cannot make it."""
        import serial

        try:
            self._serial.baudrate = baud
        except (OSError, ValueError, serial.SerialException) as error:
            raise DeviceError(f"the serial port `{self.port}` cannot run at {baud} baud") from error

    def close(self) -> None:
        """Free the port; a port that is gone already is free."""
        import serial

        with contextlib.suppress(OSError, TypeError, serial.SerialException):
            self._serial.close()


def no_such_port(port: str) -> DeviceNotFound:
    """The error for a port that is not there."""
    return DeviceNotFound(f"there is no serial port `{port}`", hint="tinybench devices")


def _not_opened(port: str, error: Exception) -> DeviceError:
    text = str(error)
    if "Permission" in text or getattr(error, "errno", None) == errno.EACCES:
        return DeviceError(
            f"no permission to open `{port}`", hint="add yourself to the group that owns it (dialout)"
        )
    if "exclusively" in text or "busy" in text.lower() or "Access is denied" in text:
        return DeviceError(
            f"`{port}` is in use by another program", hint="close the terminal that has it open"
        )
    if "No such file" in text or "FileNotFoundError" in text or getattr(error, "errno", None) == errno.ENOENT:
        return no_such_port(port)
    if "://" in port and "Could not open" in text:
        return DeviceNotFound(
            f"nobody answers at `{port}`: {text.rpartition(': ')[2]}", hint="is it running?"
        )
    return DeviceError(f"`{port}` cannot be opened: {text}", hint="tinybench devices")
