//! The folder of a backup while it is written: it gets its name only when everything in it is on disk.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File},
    io,
    path::{Path, PathBuf},
};

use super::{BackupError, damaged, manifest};

/// What the name of a folder ends with until the backup is whole.
const UNFINISHED: &str = ".unfinished";

/// A folder that is deleted again unless it is finished.
#[derive(Debug)]
pub struct Unfinished {
    path: PathBuf,
    to: PathBuf,
    is_finished: bool,
}

impl Unfinished {
    /// Makes the folder beside the target, for its owner only.
    pub fn begin(to: &Path) -> Result<Self, BackupError> {
        if to.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(to.to_owned()));
        }
        let name = to.file_name().ok_or_else(|| BackupError::Exists(to.to_owned()))?;
        let path = to.with_file_name([name, UNFINISHED.as_ref()].into_iter().collect::<OsString>());
        match make_private(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(BackupError::Unfinished(path)),
            Err(error) => return Err(BackupError::Write(path, error)),
        }
        let begun = Self { path, to: to.to_owned(), is_finished: false };
        for inner in [manifest::TABLES, manifest::STILLS] {
            let inner = begun.path.join(inner);
            make_private(&inner).map_err(|error| BackupError::Write(inner, error))?;
        }
        Ok(begun)
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the folder its name, once what is in it is there for good.
    pub fn finish(mut self) -> Result<(), BackupError> {
        let tables = self.path.join(manifest::TABLES);
        let parent = parent(&self.to);
        let named = sync(&tables).and_then(|()| sync(&self.path));
        named.map_err(|error| BackupError::Write(self.path.clone(), error))?;
        let named = fs::rename(&self.path, &self.to);
        named.map_err(|error| BackupError::Write(self.to.clone(), error))?;
        self.is_finished = true;
        sync(parent).map_err(|error| BackupError::Write(parent.to_owned(), error))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(folder = %self.path.display(), %error, "what was begun of a backup can't be deleted");
        }
    }
}

/// Refuses a folder that is not named as a whole backup is.
pub fn refuse_unfinished(folder: &Path) -> Result<(), BackupError> {
    if folder.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(UNFINISHED.as_bytes())) {
        return Err(damaged(folder, "is of a backup that did not end"));
    }
    Ok(())
}

/// Brings a folder's names to disk.
pub fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn parent(to: &Path) -> &Path {
    match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)
}
