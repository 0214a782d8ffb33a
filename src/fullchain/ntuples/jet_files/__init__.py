"""Readers of published sets of jets that are no ROOT files, and what is made of them.

`top_tagging` reads the top-tagging reference set (pandas table in HDF5, through `pandas_table`),
`quark_gluon` the quark and gluon jets of EnergyFlow (NumPy archive, through `npz_rows`); both give
`jets.Jets`, rows by rows, so that memory depends on the rows asked for and not on the file.
`rootfile` writes them with the branches of JetClass; `formats` finds the reader of a file.
"""
