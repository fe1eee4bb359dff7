"""What turns a model into C: one module per engine, each offering `ENGINES`."""
