// Reduces x[outer, length, inner] along the middle axis to out[splits, outer, inner]. The importing file defines
// `identity` and `combine`; a launch swaps shared/reduce_vec4 and shared/columns_invocation for other ways of reading x
// and of dividing the work.
#import shared/grid
#import shared/reduce_params
#import shared/reduce_vec4
#import shared/columns_invocation

alias Partial = F;

@compute @workgroup_size(SIZE)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let place = place_of(workgroup_index(id, count), lane);
    let start = place.split * params.chunk;
    let end = min(start + params.chunk, params.length);
    let base = place.outer * params.length * params.inner + place.column;
    var total = F(identity());
    if (place.works) {
        for (var k = start + place.row; k < end; k += ROWS) {
            total = combine(total, load_x(base + k * params.inner));
        }
    }
    total = combined_rows(total, lane);
    if (place.works && place.row == 0u) {
        out[(place.split * params.outer + place.outer) * params.inner + place.column] = result(total);
    }
}
