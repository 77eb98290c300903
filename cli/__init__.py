"""What `dev.py` runs: one file a group of commands. The app never imports it, and it is not deployed."""
