"""Any bytes whatever at the two decoders that read what others wrote: commands and checkpoints."""
