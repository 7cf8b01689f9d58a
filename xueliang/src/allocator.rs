//! Gives the memory of pictures back to the system.
//!
//! glibc raises its threshold for memory of its own with each large piece that is freed, up to 32 MB; from then on the pictures of a
//! decoder that is gone stay with the thread that made them. With the threshold fixed they go back: an idle 1080p camera then holds
//! 2 MB instead of 13. glibc reads it only when a program starts, so the program starts itself once more.

use std::{env, os::unix::process::CommandExt as _, process::Command};

/// Pieces from this size on get memory of their own; a plane of a small camera's picture is as large.
const OWN_MEMORY_FROM: &str = "262144";
/// So much free memory at a heap's end is given back.
const GIVEN_BACK_FROM: &str = "1048576";

const THRESHOLD: &str = "MALLOC_MMAP_THRESHOLD_";
const TRIM: &str = "MALLOC_TRIM_THRESHOLD_";

/// Starts this program anew with the threshold set, unless whoever started it has set one or tuned glibc in another way.
pub fn give_pictures_back() {
    if !cfg!(target_env = "gnu") || [THRESHOLD, TRIM, "GLIBC_TUNABLES"].iter().any(|name| env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    again.args(arguments).env(THRESHOLD, OWN_MEMORY_FROM).env(TRIM, GIVEN_BACK_FROM);
    // It only comes back when it failed; the program then runs as it is, with more memory.
    let error = again.exec();
    tracing::warn!(%error, "can't tune memory; cameras will hold more of it");
}
