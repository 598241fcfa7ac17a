"""Detector -> crop -> classifier, over images and videos."""
