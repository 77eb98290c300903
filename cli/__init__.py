"""The commands of `dev.py`, one file for each group. The app never imports them, and they are not deployed."""
