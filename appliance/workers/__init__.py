"""The two processes that the daemon starts: the composer and the performer."""
