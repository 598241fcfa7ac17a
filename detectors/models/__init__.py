"""A model's name -> a verified local file."""
