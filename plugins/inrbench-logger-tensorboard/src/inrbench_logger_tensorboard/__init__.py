"""The runs of an experiment in TensorBoard."""
