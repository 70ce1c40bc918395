"""Trajectories in the layouts that other programs read: one module a layout, and `sad-collect export`."""
