// One F of units for each sample of an invocation, 8 apart.
#import shared/recurrent_columns_1

fn finish(sample: u32, u: u32, sums: Sums) {
    finish_unit(sample, u, sums.a);
}
