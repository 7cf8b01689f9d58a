//! Tells the tests whether libfaketime is there: a case that needs it is counted as ignored where it is not.

use std::path::Path;

/// Where Debian has it, by machine.
const LIBRARIES: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"];

fn main() {
    println!("cargo::rustc-check-cfg=cfg(faketime)");
    for library in LIBRARIES {
        println!("cargo::rerun-if-changed={library}");
        if Path::new(library).exists() {
            println!("cargo::rustc-cfg=faketime");
            println!("cargo::rustc-env=FAKETIME_LIBRARY={library}");
        }
    }
}
