"""How well emotions are recognised: on face crops, and end to end."""
