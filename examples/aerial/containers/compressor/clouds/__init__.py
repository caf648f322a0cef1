"""Compression of point clouds: quantise, sort along a space-filling curve, store differences."""
