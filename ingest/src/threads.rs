//! The long-lived threads of one stage: started together, joined together, and counted when one is lost.

use std::{io, sync::Arc, thread::JoinHandle};

use parking_lot::Mutex;

/// Threads of one stage; cheap to clone, so that readiness can watch them.
#[derive(Clone, Default)]
pub struct Threads(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl Threads {
    /// Starts one more.
    pub fn spawn(&self, name: String, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(name).spawn(work)?;
        self.0.lock().push(thread);
        Ok(())
    }

    /// How many have ended although nobody asked them to.
    pub fn n_lost(&self) -> usize {
        self.0.lock().iter().filter(|thread| thread.is_finished()).count()
    }

    /// Waits for all to end.
    pub fn join(&self) {
        let threads = std::mem::take(&mut *self.0.lock());
        for thread in threads {
            let name = thread.thread().name().unwrap_or("?").to_owned();
            if thread.join().is_err() {
                tracing::error!(thread = name, "a thread had panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_thread_is_counted() {
        let threads = Threads::default();
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        threads.spawn("waits".to_owned(), move || assert!(receiver.recv().is_err())).unwrap();
        assert_eq!(threads.n_lost(), 0);
        threads.spawn("ends".to_owned(), || {}).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while threads.n_lost() == 0 && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(threads.n_lost(), 1);
        drop(sender);
        threads.join();
    }
}
