"""A model's name -> a verified local file."""

from .store import ModelFile, ModelStatus, catalog, fetch, locate, model_file

__all__ = ["ModelFile", "ModelStatus", "catalog", "fetch", "locate", "model_file"]
