"""Episodes that other programs recorded, as trajectories: one module a layout, and `sad-collect import`."""
