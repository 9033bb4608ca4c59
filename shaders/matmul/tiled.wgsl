// Batched matmul as a contraction: workgroup-memory tiles, any adapter.
// Operands, layout and parameters: matmul/operands; outputs per workgroup: shared/contraction_tiled.
#import shared/store_vec4
#import matmul/operands
#import shared/contraction_tiled
