// Converts images between interleaved channels and consecutive groups of channels: [N*H*W, G, C] and [G, N*H*W, C].
#import shared/strided
