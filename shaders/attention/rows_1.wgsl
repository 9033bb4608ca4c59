// Rows that an invocation computes.
const ROWS = 1u;
