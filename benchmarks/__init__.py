"""How detectors are measured: isolated children, stored results, scores, ranking."""
