"""The commands, one module for each noun. Whatever is heavy is imported when its command runs."""
