"""Auxiliary terms and ablations: everything but the two terms of SAD."""
