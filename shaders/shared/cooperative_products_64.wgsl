// Adds the products of 2 x 2 matrices at one k, written out so that all of them stay in registers.
            if (ROWS_ACROSS) {
                a[0] = coopLoad<Left>(&tiles[at_row], K_STRIDE);
                a[1] = coopLoad<Left>(&tiles[at_row + 1u * row_side], K_STRIDE);
            } else {
                a[0] = coopLoadT<Left>(&tiles[at_row], LINE_STRIDE);
                a[1] = coopLoadT<Left>(&tiles[at_row + 1u * row_side], LINE_STRIDE);
            }
            if (COLUMNS_ACROSS) {
                b[0] = coopLoadT<Right>(&tiles[at_column], K_STRIDE);
                b[1] = coopLoadT<Right>(&tiles[at_column + 1u * column_side], K_STRIDE);
            } else {
                b[0] = coopLoad<Right>(&tiles[at_column], LINE_STRIDE);
                b[1] = coopLoad<Right>(&tiles[at_column + 1u * column_side], LINE_STRIDE);
            }
            c[0] = coopMultiplyAdd(a[0], b[0], c[0]);
            c[1] = coopMultiplyAdd(a[0], b[1], c[1]);
            c[2] = coopMultiplyAdd(a[1], b[0], c[2]);
            c[3] = coopMultiplyAdd(a[1], b[1], c[3]);
