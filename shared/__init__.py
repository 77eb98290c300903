"""The app's own code: everything between the three entry points and Azure.

Imports only go down the list of packages in `tests/unit/test_layers.py`.
"""
