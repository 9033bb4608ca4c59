// Batched matmul as a contraction: one subgroup per workgroup, no workgroup memory.
// Operands, layout and parameters: matmul/operands; outputs per workgroup: shared/contraction_broadcast.
#import shared/store_vec4
#import matmul/operands
#import shared/contraction_broadcast
