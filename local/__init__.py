"""The local stack: everything the app talks to, on loopback, for one machine.

Azurite stands for storage, `standins.workspace` for Azure Machine Learning, `standins.identity` for App
Service's managed identity, and `host` for the Functions host around the real Python runtime. The
demo, `dev.py up` and the integration tests all use these, through `stack.Stack`. Nothing here is
deployed, and nothing in `shared/` imports it.
"""
