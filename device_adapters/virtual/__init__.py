"""Virtual boards: the ELF that a board would be flashed with, on an emulated core with modelled devices."""

from device_adapters.virtual.adapter import VirtualAdapter

ADAPTERS = (VirtualAdapter(),)
