"""The data sets that people bring: WIDER FACE, FDDB, a folder."""
