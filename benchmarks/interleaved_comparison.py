"""The address that other installed versions ask: `python -m facebench.benchmarks.interleaved_comparison`."""

from .compare.interleaved import main

if __name__ == "__main__":
    main()
