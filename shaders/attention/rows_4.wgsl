// Rows per invocation.
const ROWS = 4u;
