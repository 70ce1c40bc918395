"""A fictional encyclopedia and questions on it, from a seed: no model can have memorised it."""
