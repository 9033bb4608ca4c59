// Rows that an invocation computes.
const ROWS = 2u;
