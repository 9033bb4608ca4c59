// One workgroup per split of COLUMNS neighbouring columns. Its invocations combine their results in workgroup memory:
// for adapters that need many invocations. The functions are those of shared/columns_invocation; control flow must be
// uniform where combined_rows is called. The importing file defines `Partial`, the
// type of a result, and `combine`.
#import shared/place
const SIZE: u32 = 256u;
// A power of two.
override COLUMNS: u32 = 16u;
override ROWS: u32 = SIZE / COLUMNS;
var<workgroup> partials: array<Partial, 256>;

fn place_of(workgroup: u32, lane: u32) -> Place {
    let across = (params.inner + COLUMNS - 1u) / COLUMNS;
    let block = workgroup / across;
    let split = block / params.outer;
    let column = (workgroup - block * across) * COLUMNS + lane % COLUMNS;
    let works = split < params.splits && column < params.inner;
    return Place(block - split * params.outer, column, split, lane / COLUMNS, works);
}

fn combined_rows(x: Partial, lane: u32) -> Partial {
    partials[lane] = x;
    // Every round reads what other invocations wrote in the previous round.
    workgroupBarrier();
    for (var half = ROWS >> 1u; half > 0u; half = half >> 1u) {
        if (lane < half * COLUMNS) {
            partials[lane] = combine(partials[lane], partials[lane + half * COLUMNS]);
        }
        workgroupBarrier();
    }
    let result = partials[lane % COLUMNS];
    // The next call overwrites this one, so all invocations must have read it.
    workgroupBarrier();
    return result;
}
