"""LHC ROOT ntuples through machine learning, unfolding, inference and firmware, in one DAG."""

__version__ = "0.1.0"
