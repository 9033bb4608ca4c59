/// The item in row `row` of the batch. Rows past the end of the order repeat its last item, and indices past the end of
/// the data set are replaced by its last item.
fn item_of(row: u32) -> u32 {
    let last = params.ordered - 1u;
    return min(order[min(min(cursor[0], last) + row, last)], params.items - 1u);
}
