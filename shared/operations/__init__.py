"""What people and scripts can ask for, from the API and the command line alike."""
