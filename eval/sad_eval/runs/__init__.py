"""Runs: plans, the harness and the run folder."""
