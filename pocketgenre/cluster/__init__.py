"""Past one machine: the jobs of a scan and of a data set on a Dask cluster, and results as Parquet.

It is plugged into the commands by entry points, see :mod:`pocketgenre.plugins`.
"""
