// conv2d weight gradient as a contraction: workgroup-memory tiles, any adapter.
// Operands, layout and parameters: conv2d/weight_grad_operands; outputs per workgroup: shared/contraction_tiled.
#import shared/store_vec4
#import conv2d/weight_grad_operands
#import shared/contraction_tiled
