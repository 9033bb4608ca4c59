// A block of x, given by the strides of x and the offset of the block's first element.
#import shared/strided
