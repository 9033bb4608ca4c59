// vec4s of a head, for heads of at most 128 numbers.
const VEC4S = 32u;
