"""The JSON side: operating-system calls, the lock, and how records lie in files."""
