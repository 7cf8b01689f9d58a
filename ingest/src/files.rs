//! Lets the process open as many sockets as its cameras need: the soft limit of most systems is 1,024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Sockets and files beside the cameras'.
const OTHERS: u64 = 512;
/// A session holds one socket over TCP and three over UDP, and a second one while it asks what the camera wants.
const PER_CAMERA: u64 = 4;

/// Raises the soft limit as far as `n_cameras` need and the hard limit allows, and says when that is too little.
pub fn raise_limit(n_cameras: usize) {
    let needed = OTHERS + PER_CAMERA * n_cameras as u64;
    let limit = getrlimit(Resource::Nofile);
    let (soft, hard) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    if soft >= needed {
        return;
    }
    let raised = needed.min(hard);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }) {
        tracing::warn!(soft, needed, %error, "can't raise the limit of open files; raise it for this service");
    } else if raised < needed {
        tracing::warn!(raised, needed, "the limit of open files is low for so many cameras; raise it for this service");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_never_lowered() {
        let before = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        raise_limit(0);
        assert!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) >= before);
    }
}
