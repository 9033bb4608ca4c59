//! `wgrad privacy`

use super::print_line;
use serde_json::json;
use std::process::ExitCode;
use wgrad::privacy::SampledGaussian;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Number of training samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    samples: u64,
    /// Samples that a step takes on average: each sample is taken with the probability batch / samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    batch: u64,
    /// Number of passes over the samples, of samples / batch steps each
    #[arg(long, value_name = "N", required_unless_present = "steps", conflicts_with = "steps", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    epochs: Option<u64>,
    /// Number of steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    steps: Option<u64>,
    /// Standard deviation of the noise, as a multiple of the norm to which the gradient of a sample is clipped: prints epsilon
    #[arg(
        long,
        value_name = "NUMBER",
        required_unless_present = "epsilon",
        conflicts_with = "epsilon"
    )]
    noise: Option<f64>,
    /// The largest privacy loss: prints the smallest noise for it
    #[arg(long, value_name = "NUMBER")]
    epsilon: Option<f64>,
    /// Probability with which the loss may be larger; well below one over the number of samples
    #[arg(long, value_name = "NUMBER", default_value_t = 1e-5)]
    delta: f64,
    /// Print one JSON line and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.batch > args.samples {
        let message = format!(
            "--batch {} is larger than --samples {}",
            args.batch, args.samples
        );
        return Err(wgrad::Error::Config(message).into());
    }
    let rate = args.batch as f64 / args.samples as f64;
    let passes = |epochs: u64| (epochs as f64 / rate).round() as u64;
    let steps = args.steps.or(args.epochs.map(passes)).unwrap_or_default();
    let noise = match (args.noise, args.epsilon) {
        (Some(noise), _) => noise,
        (None, Some(epsilon)) => SampledGaussian::noise_for(rate, steps, epsilon, args.delta)?,
        (None, None) => 0.0,
    };
    let loss = SampledGaussian { rate, noise }.loss(steps, args.delta)?;
    let delta = args.delta;
    if args.json {
        print_line(json!({
            "event": "privacy",
            "epsilon": loss.epsilon,
            "delta": delta,
            "noise": noise,
            "rate": rate,
            "steps": steps,
            "order": loss.order,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    print_line(format_args!(
        "epsilon {:.4} for delta {delta}: {steps} steps that take each of {} samples with probability {rate:.6}, with noise of {noise:.4} \
         times the clipping norm (order {})",
        loss.epsilon, args.samples, loss.order
    ))?;
    Ok(ExitCode::SUCCESS)
}
