"""What loads an image on a device and opens a link: one module per adapter, one TOML per board."""
