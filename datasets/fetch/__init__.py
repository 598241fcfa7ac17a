"""The catalogue of data sets, fetched and unpacked safely."""
