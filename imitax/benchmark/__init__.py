"""Benchmarks: grids of cells, a line of raw results per cell and seed, and reports."""
