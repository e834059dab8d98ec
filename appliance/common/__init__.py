"""Small tools without a subject: files, retries, text, and the process table."""
