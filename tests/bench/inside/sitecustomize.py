"""Python starts inside the virtual desk: with $TINYBENCH_VIRTUAL_DESK set, USB and serial ports are virtual.

This folder is put on PYTHONPATH by the bench. The two functions are replaced when their modules are first
imported, so that a process that uses neither pays nothing.
"""

import importlib.abc
import importlib.machinery
import os
import sys
from pathlib import Path

_FOLDER = os.environ.get("TINYBENCH_VIRTUAL_DESK")


def _replace_usb(module, folder):
    from virtual_desk.usb_backend import VirtualBus

    bus = VirtualBus(folder)
    module.get_libusb1_backend = lambda: bus


def _replace_ports(module, folder):
    from virtual_desk.usb_backend import serial_ports

    module.comports = lambda include_links=False: serial_ports(folder)


_REPLACEMENTS = {"libusb_package": _replace_usb, "serial.tools.list_ports": _replace_ports}


class _AfterImport(importlib.abc.MetaPathFinder):
    """Lets the real loader run, then changes the module."""

    def __init__(self, folder):
        self._folder = folder

    def find_spec(self, fullname, path, target=None):
        if fullname not in _REPLACEMENTS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module
        folder = self._folder

        def exec_module(module):
            run(module)
            _REPLACEMENTS[fullname](module, folder)

        spec.loader.exec_module = exec_module
        return spec


if _FOLDER:
    sys.meta_path.insert(0, _AfterImport(Path(_FOLDER)))
