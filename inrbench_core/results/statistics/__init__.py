"""Statistics of one table: intervals, paired comparisons, ranks and what more data would show. Imports no torch."""
