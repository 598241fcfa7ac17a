"""The figures of docs/detectors: computed by the code here, drawn by `python -m facebench.tools.figures`.

Each module computes what its detector looks at (integral images, windows, priors, score maps) and draws it. The only
people shown are the two public-domain portraits that facebench's `scenes` are composed of.
"""
