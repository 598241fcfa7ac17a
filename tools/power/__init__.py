"""How often the gate is right where the truth is known, by simulation."""
