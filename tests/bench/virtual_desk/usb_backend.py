"""A pyusb backend that carries virtual devices instead of real ones."""

from __future__ import annotations

import array
import errno
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import usb.backend
import usb.core

from virtual_desk import wire

_GET_DESCRIPTOR, _STRING = 6, 3
_ENGLISH = 0x0409
_TIMED_OUT = "Operation timed out"


@dataclass(frozen=True)
class _Device:
    path: Path
    info: dict[str, Any]


class _Handle:
    """An opened device: one connection writes, one reads, so that a reader may wait meanwhile."""

    def __init__(self, device: _Device) -> None:
        self.device = device
        token = uuid.uuid4().bytes
        try:
            self.writer = wire.Connection(device.path)
            self.reader = wire.Connection(device.path)
            for connection in (self.writer, self.reader):
                connection.ask(wire.HELLO, token)
        except OSError as error:
            raise _as_usb(error) from error

    def close(self) -> None:
        self.writer.close()
        self.reader.close()


class VirtualBus(usb.backend.IBackend):  # type: ignore[misc]  # pyusb has no types; its find() wants this class
    """Every board whose process listens in `folder`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    # --- descriptors ---

    def enumerate_devices(self) -> list[_Device]:
        return [_Device(path, info) for path, info in wire.plugged_in(self._folder) if info["endpoints"]]

    def get_parent(self, dev: _Device) -> None:
        del dev

    def get_device_descriptor(self, dev: _Device) -> SimpleNamespace:
        return SimpleNamespace(
            bLength=18, bDescriptorType=1, bcdUSB=0x200,
            bDeviceClass=0xEF, bDeviceSubClass=2, bDeviceProtocol=1,
            bMaxPacketSize0=64, idVendor=dev.info["vid"], idProduct=dev.info["pid"], bcdDevice=0x100,
            iManufacturer=1, iProduct=2, iSerialNumber=3, bNumConfigurations=1, bus=9,
            address=dev.info["port_number"], port_number=dev.info["port_number"],
            port_numbers=(dev.info["port_number"],), speed=None,
        )  # fmt: skip

    def get_configuration_descriptor(self, dev: _Device, config: int) -> SimpleNamespace:
        _only(config)
        del dev
        return SimpleNamespace(
            bLength=9, bDescriptorType=2, wTotalLength=39, bNumInterfaces=1, bConfigurationValue=1,
            iConfiguration=0, bmAttributes=0x80, bMaxPower=50, extra_descriptors=[],
        )  # fmt: skip

    def get_interface_descriptor(self, dev: _Device, intf: int, alt: int, config: int) -> SimpleNamespace:
        _only(intf, alt, config)
        return SimpleNamespace(
            bLength=9, bDescriptorType=4, bInterfaceNumber=0, bAlternateSetting=0,
            bNumEndpoints=len(dev.info["endpoints"]), bInterfaceClass=0xFF,
            bInterfaceSubClass=dev.info["subclass"],
            bInterfaceProtocol=0, iInterface=4, extra_descriptors=[],
        )  # fmt: skip

    def get_endpoint_descriptor(
        self, dev: _Device, ep: int, intf: int, alt: int, config: int
    ) -> SimpleNamespace:
        _only(intf, alt, config)
        endpoints = dev.info["endpoints"]
        if ep >= len(endpoints):
            raise IndexError(ep)
        return SimpleNamespace(
            bLength=7, bDescriptorType=5, bEndpointAddress=endpoints[ep], bmAttributes=2,
            wMaxPacketSize=dev.info["packet_bytes"], bInterval=0,
            bRefresh=0, bSynchAddress=0, extra_descriptors=[],
        )  # fmt: skip

    # --- handles ---

    def open_device(self, dev: _Device) -> _Handle:
        return _Handle(dev)

    def close_device(self, dev_handle: _Handle) -> None:
        dev_handle.close()

    def set_configuration(self, dev_handle: _Handle, config_value: int) -> None:
        del dev_handle, config_value

    def get_configuration(self, dev_handle: _Handle) -> int:
        del dev_handle
        return 1

    def claim_interface(self, dev_handle: _Handle, intf: int) -> None:
        del intf
        _asked(dev_handle.writer, wire.CLAIM)

    def release_interface(self, dev_handle: _Handle, intf: int) -> None:
        del intf
        _asked(dev_handle.writer, wire.RELEASE)

    def is_kernel_driver_active(self, dev_handle: _Handle, intf: int) -> bool:
        del dev_handle, intf
        return False

    # --- transfers ---

    def bulk_write(self, dev_handle: _Handle, ep: int, intf: int, data: Any, timeout: int) -> int:
        del intf, timeout
        _asked(dev_handle.writer, wire.OUT, bytes((ep,)) + bytes(data))
        return len(data)

    def bulk_read(self, dev_handle: _Handle, ep: int, intf: int, buff: Any, timeout: int) -> int:
        del intf
        wanted = struct.pack("<BII", ep, len(buff), timeout)
        got = _asked(dev_handle.reader, wire.IN, wanted)
        buff[: len(got)] = array.array("B", got)
        return len(got)

    def ctrl_transfer(  # noqa: PLR0917 - pyusb's signature
        self,
        dev_handle: _Handle,
        bmRequestType: int,  # noqa: N803 - pyusb passes it by this name
        bRequest: int,  # noqa: N803 - as above
        wValue: int,  # noqa: N803 - as above
        wIndex: int,  # noqa: N803 - as above
        data: Any,
        timeout: int,
    ) -> int:
        """Strings are all that drivers ask of endpoint 0."""
        del bmRequestType, wIndex, timeout
        kind, index = divmod(wValue, 256)
        if bRequest != _GET_DESCRIPTOR or kind != _STRING:
            raise usb.core.USBError("Pipe error", None, errno.EPIPE)
        info = dev_handle.device.info
        text = (None, info["manufacturer"], info["product"], info["uid"], info["interface"])[index]
        body = struct.pack("<H", _ENGLISH) if text is None else text.encode("utf-16-le")
        descriptor = bytes((len(body) + 2, _STRING)) + body
        count = min(len(descriptor), len(data))
        data[:count] = array.array("B", descriptor[:count])
        return count


def _only(*indices: int) -> None:
    """There is one configuration, one interface, one setting."""
    if any(indices):
        raise IndexError(indices)


def _asked(connection: wire.Connection, letter: bytes, payload: bytes = b"") -> bytes:
    try:
        return connection.ask(letter, payload)
    except OSError as error:
        raise _as_usb(error) from error


def _as_usb(error: OSError) -> usb.core.USBError:
    if error.errno == errno.ETIMEDOUT:
        return usb.core.USBTimeoutError(_TIMED_OUT, None, errno.ETIMEDOUT)
    if error.errno == errno.EBUSY:
        return usb.core.USBError("Resource busy", None, errno.EBUSY)
    return usb.core.USBError("No such device (it may have been disconnected)", None, errno.ENODEV)


def serial_ports(folder: Path) -> list[Any]:
    """The boards' serial ports, as pyserial lists real ones."""
    from serial.tools.list_ports_common import ListPortInfo

    ports = []
    for _, info in wire.plugged_in(folder):
        if info["tty"] is None:
            continue
        port = ListPortInfo(info["tty"], skip_link_detection=True)
        port.vid, port.pid = info["vid"], info["pid"]
        port.serial_number = info["serial_uid"]
        port.location = f"9-{info['port_number']}:1.2"
        port.manufacturer, port.product = info["manufacturer"], info["product"]
        port.description, port.hwid = info["product"], port.usb_info()
        ports.append(port)
    return ports
