// conv2d forward as a contraction: workgroup-memory tiles, any adapter.
// Operands, layout and parameters: conv2d/forward_operands; outputs per workgroup: shared/contraction_tiled.
#import shared/store_vec4
#import conv2d/forward_operands
#import shared/contraction_tiled
