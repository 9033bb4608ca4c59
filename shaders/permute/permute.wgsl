// Permutes axes: the strides of x are given in the order of the axes of out.
#import shared/strided
