"""Benchmarks: grids of cells, one line of raw results per cell and seed, and reports from the lines."""
