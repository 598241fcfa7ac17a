"""The data sets that people give: WIDER FACE, FDDB, a folder."""
