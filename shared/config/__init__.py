"""`triggers.yaml` and the app settings: how they are read, checked and compiled."""
