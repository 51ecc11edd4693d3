"""One contract, one generic repository, one file per noun."""
