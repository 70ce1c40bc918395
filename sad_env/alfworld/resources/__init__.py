"""Data files that the world ships: domain and grammar of the alfworld package, floor plans, counts."""
