// BlockDiff
