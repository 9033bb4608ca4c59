// Adds the products of 4 x 2 matrices at one k, written out so that all of them stay in registers.
            if (ROWS_ACROSS) {
                a[0] = coopLoad<Left>(&tiles[at_row][0], 4u * K_STRIDE);
                a[1] = coopLoad<Left>(&tiles[at_row + row_side][0], 4u * K_STRIDE);
                a[2] = coopLoad<Left>(&tiles[at_row + 2u * row_side][0], 4u * K_STRIDE);
                a[3] = coopLoad<Left>(&tiles[at_row + 3u * row_side][0], 4u * K_STRIDE);
            } else {
                a[0] = coopLoadT<Left>(&tiles[at_row][0], 4u * LINE_STRIDE);
                a[1] = coopLoadT<Left>(&tiles[at_row + row_side][0], 4u * LINE_STRIDE);
                a[2] = coopLoadT<Left>(&tiles[at_row + 2u * row_side][0], 4u * LINE_STRIDE);
                a[3] = coopLoadT<Left>(&tiles[at_row + 3u * row_side][0], 4u * LINE_STRIDE);
            }
            if (COLUMNS_ACROSS) {
                b[0] = coopLoadT<Right>(&tiles[at_column][0], 4u * K_STRIDE);
                b[1] = coopLoadT<Right>(&tiles[at_column + column_side][0], 4u * K_STRIDE);
            } else {
                b[0] = coopLoad<Right>(&tiles[at_column][0], 4u * LINE_STRIDE);
                b[1] = coopLoad<Right>(&tiles[at_column + column_side][0], 4u * LINE_STRIDE);
            }
            c[0] = coopMultiplyAdd(a[0], b[0], c[0]);
            c[1] = coopMultiplyAdd(a[0], b[1], c[1]);
            c[2] = coopMultiplyAdd(a[1], b[0], c[2]);
            c[3] = coopMultiplyAdd(a[1], b[1], c[3]);
            c[4] = coopMultiplyAdd(a[2], b[0], c[4]);
            c[5] = coopMultiplyAdd(a[2], b[1], c[5]);
            c[6] = coopMultiplyAdd(a[3], b[0], c[6]);
            c[7] = coopMultiplyAdd(a[3], b[1], c[7]);
