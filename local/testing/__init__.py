"""Test doubles, and an app in memory that uses them."""
