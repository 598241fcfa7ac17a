"""The quantities of `scoring` under many weightings of the images: what chance does to them."""
