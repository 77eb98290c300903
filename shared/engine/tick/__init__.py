"""What the timer function does each minute."""
