"""What is measured beside the product: one script each, run as a process of its own; the last line that it prints is JSON."""
