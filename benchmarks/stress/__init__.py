"""How much detectors keep of their accuracy on worse images."""
