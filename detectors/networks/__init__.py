"""Networks written out in PyTorch, and what reads their weights; imported by the constructors of adapters only."""
