"""Published checkpoints to zoo models and back: one adapter per codebase."""
