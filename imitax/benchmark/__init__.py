"""Benchmarks: grids of cells, a line of raw results for each cell and seed, reports made from the lines."""
