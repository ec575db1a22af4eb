"""Run jobs on a Dask cluster, read songs from object stores, and write Parquet.

The commands load these modules by entry points, see :mod:`pocketgenre.plugins`.
"""
