// Stores the sums, 2 rows of matrices one after another.
    coopStoreT(c[0], &sums[from_sum], SUM_STRIDE);
    coopStoreT(c[1], &sums[from_sum + 1u * SIDE], SUM_STRIDE);
    workgroupBarrier();
    store_sums(tile, tile.row + my_row, tile.column + my_column, from_sum, lane);
    workgroupBarrier();
    coopStoreT(c[2], &sums[from_sum], SUM_STRIDE);
    coopStoreT(c[3], &sums[from_sum + 1u * SIDE], SUM_STRIDE);
    workgroupBarrier();
    store_sums(tile, tile.row + my_row + 1u * SIDE, tile.column + my_column, from_sum, lane);
