"""Markov decision processes as explicit arrays, solved exactly in double precision, without
JAX.
"""
