// Adds the products of 2 x 1 matrices at one k, written out so that all of them stay in registers.
            if (ROWS_ACROSS) {
                left[0] = coopLoad<Left>(&tiles[at_row][0], 4u * K_STRIDE);
                left[1] = coopLoad<Left>(&tiles[at_row + row_side][0], 4u * K_STRIDE);
            } else {
                left[0] = coopLoadT<Left>(&tiles[at_row][0], 4u * LINE_STRIDE);
                left[1] = coopLoadT<Left>(&tiles[at_row + row_side][0], 4u * LINE_STRIDE);
            }
            if (COLUMNS_ACROSS) {
                right[0] = coopLoadT<Right>(&tiles[at_column][0], 4u * K_STRIDE);
            } else {
                right[0] = coopLoad<Right>(&tiles[at_column][0], 4u * LINE_STRIDE);
            }
            c[0] = coopMultiplyAdd(left[0], right[0], c[0]);
            c[1] = coopMultiplyAdd(left[1], right[0], c[1]);
