// Batched matmul as a contraction: subgroups of 8, no workgroup memory.
// Operands, layout and parameters: matmul/operands; outputs per workgroup: shared/contraction_broadcast.
#import shared/store_vec4
#import matmul/operands
#import shared/contraction_broadcast
