"""Values and the state machine, without I/O: events, submissions, how a submission moves on."""
