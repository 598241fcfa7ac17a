"""The data sets that are composed here, of portraits that installed packages carry."""
