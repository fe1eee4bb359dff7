"""Boards that QEMU emulates: `qemu-system-arm`, with a plugin of ours that counts instructions."""

from device_adapters.qemu.adapter import ADAPTERS

__all__ = ("ADAPTERS",)
