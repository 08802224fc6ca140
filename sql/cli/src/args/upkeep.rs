//! Options of the commands that look after a store.

use std::path::PathBuf;

/// Options of `amida verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads the whole store and writes nothing: checksums of manifests, segments and log; every row in
every column; the trace-ID index; counts, times and record numbers against each other. The store
may be open for writing elsewhere, and may be on a disk that is only readable.

Exit codes: 0 everything is as it was written; 1 something is damaged.

Examples:
  amida verify traces.amida
  amida verify traces.amida --json | jq '.problems[]'")]
pub struct VerifyArgs {
    /// The store's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Options of `amida checkpoint`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The copy is a store of its own, with everything that was acknowledged before. Segments are shared
by hard links where the disk is the same one, which takes no time and no room; else they are copied.
A linked file is one file under two names: for a backup give a directory on another disk.
The store may be open for writing elsewhere. When the command ends, the copy survives power loss.

Examples:
  amida checkpoint traces.amida monday.amida
  amida checkpoint traces.amida /backup/monday.amida --json")]
pub struct CheckpointArgs {
    /// The store's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Where the copy goes: a directory that does not exist or is empty
    #[arg(value_name = "TO")]
    pub to: PathBuf,
    /// Report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Options of `amida repair`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
For a store that does not open because its newest manifest is damaged or missing. Without an option
it reads everything, says what can be done, and changes nothing.

With --rebuild-manifest the manifest is made again from what segments and log say of themselves.
Files that do not belong to the store any more, and damaged ones, are moved to its folder
quarantine; nothing is deleted. Restoring the directory from a copy is better where there is one:
the counts of rejected and dropped spans stand in the manifest only.

The store must not be open for writing elsewhere.

Exit codes: 0 the manifest was rebuilt; 1 it was not, or there is nothing to rebuild.

Examples:
  amida repair traces.amida
  amida repair traces.amida --rebuild-manifest")]
pub struct RepairArgs {
    /// The store's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Make the lost manifest again
    #[arg(long)]
    pub rebuild_manifest: bool,
    /// Report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Options of `amida compact`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The store must not be open for writing elsewhere. Compact never drops spans: retention is the
business of the service that owns the store.

Examples:
  amida compact traces.amida
  amida compact traces.amida --json")]
pub struct CompactArgs {
    /// The store's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Report as one JSON object
    #[arg(long)]
    pub json: bool,
}
