// Stores the sums, 2 rows of matrices one after another.
    coopStoreT(c[0], &sums[from_sum][0], 4u * SUM_STRIDE);
    workgroupBarrier();
    store_sums(tile, tile.row + my_row, tile.column + my_column, from_sum, lane);
    workgroupBarrier();
    coopStoreT(c[1], &sums[from_sum][0], 4u * SUM_STRIDE);
    workgroupBarrier();
    store_sums(tile, tile.row + my_row + SIDE, tile.column + my_column, from_sum, lane);
