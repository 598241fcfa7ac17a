"""How the emotion classifier was chosen, and what copies in FER2013 are worth to one; see docs/emotions.md."""
