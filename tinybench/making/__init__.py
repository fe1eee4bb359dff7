"""Models made on this machine, the same bytes on every machine: synthetic ones and small trained ones."""
