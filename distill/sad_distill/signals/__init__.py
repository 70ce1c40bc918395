"""Signals: what each token that a student sampled is told, by a teacher, by the world, or by where it started."""
