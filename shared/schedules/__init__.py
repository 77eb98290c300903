"""The occurrences of schedules, without I/O."""
