// Adds the products of 2 x 1 matrices at one k, written out so that all of them stay in registers.
            if (ROWS_ACROSS) {
                a[0] = coopLoad<Left>(&tiles[at_row][0], 4u * K_STRIDE);
                a[1] = coopLoad<Left>(&tiles[at_row + row_side][0], 4u * K_STRIDE);
            } else {
                a[0] = coopLoadT<Left>(&tiles[at_row][0], 4u * LINE_STRIDE);
                a[1] = coopLoadT<Left>(&tiles[at_row + row_side][0], 4u * LINE_STRIDE);
            }
            if (COLUMNS_ACROSS) {
                b[0] = coopLoadT<Right>(&tiles[at_column][0], 4u * K_STRIDE);
            } else {
                b[0] = coopLoad<Right>(&tiles[at_column][0], 4u * LINE_STRIDE);
            }
            c[0] = coopMultiplyAdd(a[0], b[0], c[0]);
            c[1] = coopMultiplyAdd(a[1], b[0], c[1]);
