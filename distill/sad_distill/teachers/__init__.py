"""Teachers: who says what the student should have written, and how likely each token was."""
