// vec4s of a head, for heads of at most 16 numbers.
const VEC4S = 4u;
