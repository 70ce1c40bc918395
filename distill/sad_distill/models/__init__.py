"""Models: what students are made of, and how they are loaded."""
