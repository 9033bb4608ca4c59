// A block of x: the strides of x, and the offset of its first element.
#import shared/strided
