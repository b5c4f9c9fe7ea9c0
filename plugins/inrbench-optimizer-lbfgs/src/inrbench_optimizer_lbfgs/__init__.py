"""L-BFGS: a quasi-Newton method for full batches."""
