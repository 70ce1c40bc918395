"""Evaluation: metrics, statistics, the harness, reports and playback."""
