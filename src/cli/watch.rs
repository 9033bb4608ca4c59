//! `wgrad watch`

mod card;
mod follower;
mod http;
mod record;
mod site;

use super::{interrupt, note, print_line};
use follower::Follower;
use serde_json::json;
use site::Site;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use wgrad::Error;

/// Threads that answer requests. Browsers hold several connections each.
const THREADS: usize = 8;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Folder of a run, or of run folders
    #[arg(value_name = "RUN|FOLDER", default_value = "runs")]
    path: PathBuf,
    /// Port of the page [default: a free one]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Print the address as a JSON line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let shown = args.path.display();
    if !args.path.exists() {
        note(format_args!(
            "{shown} does not exist yet; the page shows its runs once they begin"
        ));
    } else if !args.path.is_dir() {
        return Err(Error::Config(format!(
            "{shown} is a file; name the folder of a run, or a folder of runs"
        ))
        .into());
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).map_err(|error| {
        Error::Config(format!(
            "cannot listen on port {}: {error}; name another one, or leave --port out to use a free one",
            args.port
        ))
    })?;
    let address = format!("http://{}/", listener.local_addr()?);
    let ended = interrupt::messages()?;
    let site = Arc::new((listener, Site::new(Follower::new(args.path))));
    for _ in 0..THREADS {
        let site = Arc::clone(&site);
        thread::spawn(move || serve(&site.0, &site.1));
    }
    match args.json {
        true => print_line(json!({"address": address}))?,
        false => print_line(address)?,
    }
    ended.recv()?;
    Ok(ExitCode::SUCCESS)
}

/// Answers one connection after the other.
fn serve(listener: &TcpListener, site: &Site) -> ! {
    loop {
        match listener.accept() {
            Ok((connection, _)) => {
                // A client that is gone or too slow gets no answer.
                let _ = http::answer(connection, |request| site.respond(request));
            }
            // The process may be out of file handles for a while.
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}
