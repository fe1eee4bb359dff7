"""Workloads and suites as data: one folder per workload, one TOML per suite."""
