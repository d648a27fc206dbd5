//! The binary: commands in, answers out. Data goes to stdout, everything else to stderr.
//!
//! Exit codes: 0 done · 1 findings or a verdict that does not hold · 2 wrong use · 3 an error, explained on stderr.

mod cli;
mod command;
mod out;

use clap::Parser;

/// Intake makes and drops many small trees of JSON; the system's allocator takes a third of its time for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The allocator asks for huge pages. To clear one takes milliseconds on a virtual machine, in the midst of whatever request
/// touched it first (bench/LIMITS.md, "Decide"); without them nothing measured is slower.
fn small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay on");
    }
}

fn main() -> std::process::ExitCode {
    let cli = cli::Cli::parse();
    // Keys lie in memory: no image of it on a disk.
    vault::no_core_dumps();
    out::start_logging(cli.verbose, cli.log_json);
    small_pages();
    match command::run(cli) {
        Ok(code) => code.into(),
        Err(error) => {
            out::complain(&error);
            out::Code::Error.into()
        }
    }
}
