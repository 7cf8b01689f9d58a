//! Files that are written once and must last: first passwords, keys, archives.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

/// Writes a file that was not there, and makes it last. A crash leaves all of it or none.
pub fn keep(file: &Path, text: &str, mode: u32) -> io::Result<()> {
    let part = file.with_extension(format!("part{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut written = options.open(&part)?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    fs::rename(&part, file)?;
    sync_folder(file)
}

/// Makes a file's name last.
pub fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}
