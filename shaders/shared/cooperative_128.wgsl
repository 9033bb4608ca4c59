// A tile of 128 x 128 outputs: 4 x 4 matrices for each of four subgroups.
const TILE: u32 = 128u;
// Matrices along each side of a subgroup's quarter.
const MATRICES: u32 = 4u;

alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sum = coop_mat16x16<f32, C>;
