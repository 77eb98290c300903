"""When a schedule has its occurrences, without I/O."""
