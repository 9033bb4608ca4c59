// A tile of 64 x 64 outputs: 2 x 2 matrices for each of four subgroups.
const TILE: u32 = 64u;
// Matrices along each side of a subgroup's quarter.
const MATRICES: u32 = 2u;

alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sum = coop_mat16x16<f32, C>;
