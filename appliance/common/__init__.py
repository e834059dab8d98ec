"""Small tools for all folders: files, retries, text, and the process table."""
