"""Commands of `sad-distill`."""
