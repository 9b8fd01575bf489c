"""Epoch and other systems on the same data: ``python -m tests.bench.peers`` measures, and writes docs/benchmarks.md."""
