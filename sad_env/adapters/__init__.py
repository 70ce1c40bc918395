"""Our worlds in the terms of other frameworks: one module each, imported by nobody here; see docs/frameworks.md."""
