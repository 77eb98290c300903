"""What the triggers file may say: its models, and the checks of single values."""
