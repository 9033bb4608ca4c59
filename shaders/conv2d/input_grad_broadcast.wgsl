// conv2d input gradient as a contraction: one subgroup per workgroup, no workgroup memory.
// Operands, layout and parameters: conv2d/input_grad_operands; outputs per workgroup: shared/contraction_broadcast.
#import shared/store_vec4
#import conv2d/input_grad_operands
#import shared/contraction_broadcast
