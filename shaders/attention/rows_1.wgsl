// Rows per invocation.
const ROWS = 1u;
