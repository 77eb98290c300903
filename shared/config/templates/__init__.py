"""The `{{ … }}` templates of the triggers file."""
