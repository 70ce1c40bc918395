"""A fictional encyclopedia and questions on it, from a seed: nothing of it can be known by heart."""
