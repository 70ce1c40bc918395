"""Metrics of episodes, and the statistics over them."""
