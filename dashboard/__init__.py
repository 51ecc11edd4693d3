"""What a person sees and does: the pages and the command line over the store."""
