"""tinybench: how fast, how small, how hungry and how right is this model, with this engine, on this chip?"""

__version__ = "0.1.0"
