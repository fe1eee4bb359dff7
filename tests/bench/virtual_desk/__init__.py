"""Virtual boards on a virtual USB bus: unmodified pyOCD and pyserial find, flash and talk to them."""
