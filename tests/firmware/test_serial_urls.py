"""Ports that are URLs of pyserial's: our own firmware behind a TCP socket, and a line that only echoes."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from device_adapters.serial_link import SerialLink
from device_adapters.serial_port import SerialPort, look_for
from tinybench.errors import DeadlineExceeded, DeviceNotFound, LinkClosed, LinkTimeout, UsageError
from tinybench.session import Session
from tinybench.target import Flashed


@contextlib.contextmanager
def behind_a_socket(program) -> Iterator[str]:
    """The program, which talks to whoever connects first; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        processes: list[subprocess.Popen[bytes]] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    processes.append(subprocess.Popen([program], stdin=connection, stdout=connection))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.close()
            thread.join()
            for process in processes:
                process.kill()
                process.wait()


def test_firmware_behind_a_socket_answers_and_takes_inputs(host_firmware) -> None:
    adapter = SerialPort()
    with behind_a_socket(host_firmware().program) as url:
        unit = adapter.flashed(f"serial:{url}@115200")
        assert unit == Flashed(f"serial:{url}@115200", url, 115200)
        with adapter.join(unit) as joined:
            session = Session.connect(joined.link, clock=time.monotonic, baud=joined.baud)
            identity = session.identify()
            session.load(bytes(identity.input_bytes), verify=True)
            assert session.infer(3, 1).inferences == 3
            assert len(session.output()) == identity.output_bytes


def test_its_speed_is_found_as_any_other_s(host_firmware) -> None:
    adapter = SerialPort()
    with (
        behind_a_socket(host_firmware().program) as url,
        adapter.join(adapter.flashed(f"serial:{url}")) as joined,
    ):
        assert joined.baud == 115200


def test_a_socket_whose_other_end_goes_is_a_closed_link() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        SerialLink(f"socket://127.0.0.1:{server.getsockname()[1]}", 115200) as link,
    ):
        server.accept()[0].close()
        with pytest.raises(LinkClosed):
            link.read(5.0)


def test_nobody_behind_a_socket_is_no_device() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(DeviceNotFound, match="nobody answers"):
        SerialLink(url, 115200)


def test_a_line_that_only_echoes_is_a_link_and_no_device() -> None:
    with SerialLink("loop://", 115200) as link:
        link.write(b"name%")
        assert link.read(1.0) == b"name%"
        link.set_baud(9600)
        with pytest.raises(LinkTimeout):
            link.read(0.01)
    ticking = iter(range(10_000))
    adapter = SerialPort(clock=lambda: float(next(ticking)))
    unit = Flashed("serial:loop://", "loop://")
    with pytest.raises(DeadlineExceeded, match="nobody answers to `name` on `loop://`"), adapter.join(unit):
        pass


def test_a_url_of_no_kind_is_a_wrong_name() -> None:
    with pytest.raises(UsageError, match="is not a serial port"):
        SerialLink("carrier-pigeon://coop", 115200)


def test_a_port_is_looked_for_before_anything_else(tmp_path) -> None:
    with pytest.raises(DeviceNotFound, match="there is no serial port"):
        SerialPort().flashed(f"serial:{tmp_path / 'ttyACM9'}@115200")
    there = tmp_path / "ttyACM0"
    there.touch()
    assert look_for(str(there)) is False
    assert look_for("rfc2217://nowhere:1") is False
