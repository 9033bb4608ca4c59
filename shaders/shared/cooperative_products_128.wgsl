// Adds the products of 4 x 2 matrices at one k, written out so that all of them stay in registers.
            if (ROWS_ACROSS) {
                left[0] = coopLoad<Left>(&tiles[at_row][0], 4u * K_STRIDE);
                left[1] = coopLoad<Left>(&tiles[at_row + row_side][0], 4u * K_STRIDE);
                left[2] = coopLoad<Left>(&tiles[at_row + 2u * row_side][0], 4u * K_STRIDE);
                left[3] = coopLoad<Left>(&tiles[at_row + 3u * row_side][0], 4u * K_STRIDE);
            } else {
                left[0] = coopLoadT<Left>(&tiles[at_row][0], 4u * LINE_STRIDE);
                left[1] = coopLoadT<Left>(&tiles[at_row + row_side][0], 4u * LINE_STRIDE);
                left[2] = coopLoadT<Left>(&tiles[at_row + 2u * row_side][0], 4u * LINE_STRIDE);
                left[3] = coopLoadT<Left>(&tiles[at_row + 3u * row_side][0], 4u * LINE_STRIDE);
            }
            if (COLUMNS_ACROSS) {
                right[0] = coopLoadT<Right>(&tiles[at_column][0], 4u * K_STRIDE);
                right[1] = coopLoadT<Right>(&tiles[at_column + column_side][0], 4u * K_STRIDE);
            } else {
                right[0] = coopLoad<Right>(&tiles[at_column][0], 4u * LINE_STRIDE);
                right[1] = coopLoad<Right>(&tiles[at_column + column_side][0], 4u * LINE_STRIDE);
            }
            c[0] = coopMultiplyAdd(left[0], right[0], c[0]);
            c[1] = coopMultiplyAdd(left[0], right[1], c[1]);
            c[2] = coopMultiplyAdd(left[1], right[0], c[2]);
            c[3] = coopMultiplyAdd(left[1], right[1], c[3]);
            c[4] = coopMultiplyAdd(left[2], right[0], c[4]);
            c[5] = coopMultiplyAdd(left[2], right[1], c[5]);
            c[6] = coopMultiplyAdd(left[3], right[0], c[6]);
            c[7] = coopMultiplyAdd(left[3], right[1], c[7]);
