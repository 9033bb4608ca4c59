// vec4s of a head, for heads of at most 32 numbers.
const VEC4S = 8u;
