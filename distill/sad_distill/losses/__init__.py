"""Losses: pure functions from logits and targets to sums and counts."""
