"""Test doubles: an app in memory."""
