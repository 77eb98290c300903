"""The work: events are accepted, runs are started and polled."""
