// Permuted axes: the strides of x in the order of the axes of out.
#import shared/strided
