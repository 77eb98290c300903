"""Kinds of pipelines, one module for each, without I/O."""
