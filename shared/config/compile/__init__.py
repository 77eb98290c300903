"""From what the triggers file says to what the engine works with."""
