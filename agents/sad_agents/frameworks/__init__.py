"""Our worlds where a framework's own model writes: one module each, imported by nobody here; see docs/frameworks.md."""
