// vec4s of a head, for heads of at most 64 numbers.
const VEC4S = 16u;
