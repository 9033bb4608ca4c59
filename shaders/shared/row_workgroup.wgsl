// One workgroup per row. Its invocations combine their results in workgroup memory: for long rows.
// The functions below are those of shared/row_invocation; control flow must be uniform where they are called.
const LANES: u32 = 64u;
var<workgroup> partials: array<f32, 64>;

fn row_of(workgroup: u32, lane: u32) -> u32 { return workgroup; }

fn first_of(lane: u32) -> u32 { return lane; }

fn row_max(x: f32, lane: u32) -> f32 {
    partials[lane] = x;
    // Every round reads what other invocations wrote in the previous round.
    workgroupBarrier();
    for (var half = 32u; half > 0u; half = half >> 1u) {
        if (lane < half) {
            partials[lane] = max(partials[lane], partials[lane + half]);
        }
        workgroupBarrier();
    }
    let result = partials[0];
    // The next reduction overwrites the result, so all invocations must have read it.
    workgroupBarrier();
    return result;
}

fn row_sum(x: f32, lane: u32) -> f32 {
    partials[lane] = x;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half = half >> 1u) {
        if (lane < half) {
            partials[lane] = partials[lane] + partials[lane + half];
        }
        workgroupBarrier();
    }
    let result = partials[0];
    workgroupBarrier();
    return result;
}
