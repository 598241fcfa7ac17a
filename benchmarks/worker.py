"""The address at which children are started, also by other installed versions: `facebench.benchmarks.worker`."""

from .measure.worker import main

if __name__ == "__main__":
    main()
