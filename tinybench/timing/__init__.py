"""From exact execution counts to estimated cycles, per core and chip, and how far that can be believed."""
