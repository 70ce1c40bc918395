"""Structured Agent Distillation: labels, losses, curriculum, teachers and the online loop."""
