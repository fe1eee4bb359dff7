"""What our ahead-of-time engines share: from a model to constants and a flat run of kernel calls."""
