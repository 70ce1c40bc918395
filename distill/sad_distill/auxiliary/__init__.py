"""Auxiliary terms and ablations: everything beside the two terms of SAD."""
