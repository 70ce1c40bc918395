"""Rollouts: agents driven through many live worlds at once."""
