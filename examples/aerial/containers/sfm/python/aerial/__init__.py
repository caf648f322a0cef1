"""Simulated flights and the comparison of a reconstruction with the truth."""
