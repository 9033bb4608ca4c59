// Images between channels side by side and groups of channels one after another: [N*H*W, G, C] and [G, N*H*W, C].
#import shared/strided
