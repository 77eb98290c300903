"""Everything the three entry points share: the only place with logic.

Modules import downwards only: values < file and time < edges < work < http_api < app
(`tests/unit/test_layers.py` holds that).
"""
