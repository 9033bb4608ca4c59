//! Orders of axes.

/// The permutation after which a tensor whose axes are `own` has its axes in `wanted`; `None` if they are so already.
pub fn permutation(own: &[usize], wanted: &[usize]) -> Option<Vec<usize>> {
    let place = |axis: &usize| own.iter().position(|a| a == axis).unwrap_or(0);
    (own != wanted).then(|| wanted.iter().map(place).collect())
}

/// The place in a tensor whose axes are `own` of `axis` of the value, which may count from the end.
pub fn place(own: &[usize], axis: i64) -> Result<usize, String> {
    let rank = own.len() as i64;
    let axis = if axis < 0 { axis + rank } else { axis };
    let found = own.iter().position(|&a| a as i64 == axis);
    found.ok_or_else(|| format!("names axis {axis} of a value with {rank}"))
}

/// `own` without the axes at `places`; the axes that are left are counted anew.
pub fn without(own: &[usize], places: &[usize]) -> Vec<usize> {
    let gone: Vec<usize> = places.iter().map(|&at| own[at]).collect();
    let left = own.iter().filter(|axis| !gone.contains(axis));
    left.map(|&axis| axis - gone.iter().filter(|&&g| g < axis).count())
        .collect()
}

/// Axes in the order of the nodes.
pub fn identity(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}
