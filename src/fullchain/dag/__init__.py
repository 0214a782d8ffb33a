"""What the Snakefile needs to know: the identity of code and of settings, and why a job reruns."""
