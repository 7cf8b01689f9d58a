//! Makes the folder that the console is embedded from, so that cargo builds where Node never ran.

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=console/dist");
    std::fs::create_dir_all("console/dist")
}
