// Rows that an invocation computes.
const ROWS = 4u;
