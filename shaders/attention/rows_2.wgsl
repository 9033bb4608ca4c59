// Rows per invocation.
const ROWS = 2u;
