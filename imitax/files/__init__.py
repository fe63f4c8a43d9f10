"""Reading and writing files safely: bounded readers, checked arrays, one writer. Never imports
JAX.
"""
